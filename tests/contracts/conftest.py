"""Knows that every store of a port is put through the same tests, the one in memory first; the file's name says which port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stores import KINDS, SHARED, Stores, keepers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = keepers(metafunc.definition.path.stem.removeprefix("test_"))
    if "stores" in metafunc.fixturenames:
        metafunc.parametrize("stores", kinds, indirect=True)
    if "shared" in metafunc.fixturenames:
        metafunc.parametrize("shared", [kind for kind in kinds if kind in SHARED], indirect=True)


@pytest.fixture
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    opened = KINDS[request.param](tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    # The first to open a place prepares it, and the processes open it all at once.
    KINDS[request.param](tmp_path)
    return request.param, tmp_path
