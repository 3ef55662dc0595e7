# `make venv` prepares everything; the other targets call it when it is needed.
# PYTHON chooses the interpreter: make venv PYTHON=python3.14
PYTHON ?=
PYTEST_ARGS ?=
BENCH_ARGS ?= --litellm --write

venv := .venv
bin := $(venv)/bin
installed := $(venv)/.installed
clients := .venv-clients
plain := not lambda and not dynamodb and not clients and not stores and not soak
with_clients := $(clients)/.installed
compile = $(bin)/uv pip compile --quiet --no-config --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help venv demo test coverage check format bench test-soak test-lambda test-stores test-dynamodb test-clients lock clean
.SILENT:

help:
	echo 'make venv           the virtual environment in $(venv), from requirements-dev.lock'
	echo 'make demo           a server, a scripted model and a client, with no key'
	echo 'make test           every test that needs nothing but Python'
	echo 'make coverage       the same tests, test-soak and test-stores, and which lines they ran; fails below 90 %'
	echo 'make check          formatting, lint, types (mypy, pyright) and the arrows between packages'
	echo 'make format         write the formatting that check asks for'
	echo 'make bench          the benchmarks'
	echo 'make test-lambda    the tests that need the emulator of the Lambda runtime'
	echo 'make test-soak      the tests that need nothing but Python, and minutes of it'
	echo 'make test-stores    the tests of stores that are a server of their own: Redis, DynamoDB and S3 on emulators'
	echo 'make test-dynamodb  the contracts of the stores against DynamoDB Local; needs java and mvn'
	echo 'make test-clients   the tests that drive clients of other frameworks and languages; with node where it is'
	echo 'make lock           resolve the lock files again'
	echo 'make clean          remove what these targets made, $(venv) included'

venv: $(installed)

$(with_clients): requirements-clients.lock pyproject.toml .ci/venv
	.ci/venv '$(clients)' '$(PYTHON)' requirements-clients.lock
	touch $@

$(installed): requirements-dev.lock pyproject.toml .ci/venv
	.ci/venv '$(venv)' '$(PYTHON)'
	touch $@

demo: $(installed)
	$(bin)/pinnace demo

# Not `-n auto`: where psutil is installed, that counts the machine's cores, not those that this process may use.
# Work is stolen, because a few tests take as long as a thousand others.
test: $(installed)
	$(bin)/pytest -n "$$(nproc 2>/dev/null || echo auto)" --dist worksteal -m '$(plain)' $(PYTEST_ARGS)

# Of the same tests, of test-soak and of test-stores. Counting lines takes half as long again as the tests themselves.
coverage: $(installed)
	$(bin)/pytest -n "$$(nproc 2>/dev/null || echo auto)" --dist worksteal -m '$(plain) or stores or soak' --cov --cov-report=term $(PYTEST_ARGS)

check: $(installed)
	$(bin)/ruff format --check --quiet . || { echo 'make format writes what ruff format asks for' >&2; exit 1; }
	$(bin)/ruff check --quiet .
	$(bin)/mypy
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(bin)/pyright
	$(bin)/lint-imports --no-cache

format: $(installed)
	$(bin)/ruff check --quiet --fix-only .
	$(bin)/ruff format --quiet .

bench: $(installed)
	$(bin)/python -m benchmarks.run $(BENCH_ARGS)

# Hundreds of calls at once, servers that are killed, every request that the schema suggests.
test-soak: $(installed)
	$(bin)/pytest -n "$$(nproc 2>/dev/null || echo auto)" --dist worksteal -m soak $(PYTEST_ARGS)

# They need Python alone too, and would take the tests above beyond five minutes.
test-stores: $(installed)
	$(bin)/pytest -n "$$(nproc 2>/dev/null || echo auto)" -m stores $(PYTEST_ARGS) tests/contracts tests/e2e

# pytest answers 5 where no test has the marker, which is no failure of these.
test-lambda: $(installed)
	$(bin)/pytest -m lambda $(PYTEST_ARGS) || [ $$? -eq 5 ]

test-dynamodb: $(installed)
	if command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1; then \
		mvn --quiet --batch-mode -f tests/dynamodb/pom.xml package && \
		$(bin)/pytest -m dynamodb $(PYTEST_ARGS) tests/dynamodb; \
	else \
		echo 'test-dynamodb: java and mvn are not installed here, so DynamoDB Local cannot run'; \
	fi

# In an environment of its own, because LangChain's tests bring plugins of pytest that every other run would pay for.
test-clients: $(with_clients)
	if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then \
		npm ci --prefix tests/clients --silent --no-audit --no-fund && \
		$(clients)/bin/pytest -m clients --benchmark-disable $(PYTEST_ARGS) tests/clients; \
	else \
		echo 'test-clients: node and npm are not installed here, so the clients in Python run alone'; \
		$(clients)/bin/pytest -m clients --benchmark-disable $(PYTEST_ARGS) tests/clients/test_langchain.py; \
	fi

# With no configuration of the machine's, so that none of it shows in the files; the others follow the first's choices.
lock: $(installed)
	env -u UV_FIND_LINKS $(compile) --extra all --group dev -o requirements-dev.lock pyproject.toml
	env -u UV_FIND_LINKS $(compile) --extra all -c requirements-dev.lock -o requirements.lock pyproject.toml
	env -u UV_FIND_LINKS $(compile) --extra all --group dev --group clients -c requirements-dev.lock \
		-o requirements-clients.lock pyproject.toml

clean:
	rm -rf $(venv) $(clients) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache .schemathesis tests/clients/node_modules tests/dynamodb/target
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
