"""Knows the server that most end-to-end tests share, one for each worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, serving

from pinnace.testing.upstream import Upstream


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def shared(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "cargo.txt").write_text("seven barrels of tar\n")
    variables = {
        "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash", "Read"]',
        "PINNACE_AGENT__DISALLOWED_TOOLS": '["Bash(rm *)"]',
        "PINNACE_AGENT__WORKSPACE": str(workspace),
        "PINNACE_AGENT__MAX_TURNS": "4",
        "PINNACE_REQUEST_TIMEOUT": "30",
        "PINNACE_POOL__MAX_PROCESSES": "8",
        "PINNACE_POOL__HOLD_SECONDS": "5",
    }
    with serving(tmp_path_factory.mktemp("server"), upstream, **variables) as served:
        yield served


@pytest.fixture
def served(shared: Served) -> Served:
    """The shared server, with nothing recorded yet."""
    shared.upstream.forget()
    return shared


@pytest.fixture
def own_directory(tmp_path: Path) -> Path:
    """A directory for a server of the test's own."""
    return tmp_path / "own"
