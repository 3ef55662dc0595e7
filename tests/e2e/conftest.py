"""Knows the servers that end-to-end tests share: one for each worker, and one with keys for each file that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, serving
from tenants import Tenancy, tenancy

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


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """What `managed` is told; a file that needs something else says so with a fixture of its own."""
    return {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]'}


@pytest.fixture(scope="module")
def managed(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]
) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, **variables) as started:
        yield started


@pytest.fixture
def key(managed: Tenancy) -> str:
    """The secret of a key of a project of its own, with nothing recorded yet."""
    managed.served.upstream.forget()
    secret: str = managed.key(managed.project())["key"]
    return secret


@pytest.fixture
def own_directory(tmp_path: Path) -> Path:
    """A directory for a server of the test's own."""
    return tmp_path / "own"
