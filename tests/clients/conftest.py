"""Knows the server that other clients talk to, and what it takes to collect their tests."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from inspect import iscoroutinefunction

import pytest
from served import Served, serving

from pinnace.testing.upstream import Upstream

# Its packages are in the environment of `make test-clients` alone.
collect_ignore = [] if find_spec("langchain_tests") else ["test_langchain.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/clients/" in str(item.path):
            item.add_marker(pytest.mark.clients)
        # LangChain keeps one connection pool for all its models, which is of no use in another event loop.
        if (
            item.path.name == "test_langchain.py"
            and isinstance(item, pytest.Function)
            and iscoroutinefunction(item.obj)
        ):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Upstream() as upstream, serving(tmp_path_factory.mktemp("server"), upstream) as started:
        yield started
