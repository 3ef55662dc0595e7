"""Knows that every store is put through the same tests, the one in memory first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stores import KINDS, SHARED, Stores


@pytest.fixture(params=list(KINDS))
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    opened = KINDS[request.param](tmp_path)
    yield opened
    await opened.close()


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    # The first to open a place prepares it, and the processes open it all at once.
    KINDS[request.param](tmp_path)
    return request.param, tmp_path
