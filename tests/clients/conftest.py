"""Knows the server that the clients of other languages talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from served import Served, serving

from pinnace.testing.upstream import Upstream


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/clients/" in str(item.path):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Upstream() as upstream, serving(tmp_path_factory.mktemp("server"), upstream) as started:
        yield started
