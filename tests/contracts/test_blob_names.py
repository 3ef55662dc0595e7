"""Knows that kept files are found by the beginning of their names, and that of many who move one, one does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from blob_stores import KINDS

from pinnace.core.ports import Blobs


@pytest.fixture(params=list(KINDS))
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return KINDS[request.param](tmp_path)


async def kept(blobs: Blobs, tmp_path: Path, *names: str) -> None:
    for name in names:
        (tmp_path / "source").write_text(name)
        await blobs.put(name, tmp_path / "source")


async def content(blobs: Blobs, name: str) -> str:
    return b"".join([piece async for piece in blobs.read(name)]).decode()


async def test_files_are_found_by_how_their_names_begin(blobs: Blobs, tmp_path: Path) -> None:
    await kept(blobs, tmp_path, "in/b/2", "in/a/1", "inner/x", "out/y")
    found = await blobs.listed("in", 10)
    assert [(entry.name, entry.size) for entry in found] == [("in/a/1", 6), ("in/b/2", 6)]
    assert [entry.name for entry in await blobs.listed("in", 1)] == ["in/a/1"]
    assert await blobs.listed("nothing", 10) == []


async def test_a_file_that_is_moved_is_where_it_was_moved_to_alone(blobs: Blobs, tmp_path: Path) -> None:
    await kept(blobs, tmp_path, "in/a", "out/a")
    assert await blobs.move("in/a", "out/a")
    assert await content(blobs, "out/a") == "in/a"
    assert await blobs.listed("in", 10) == []
    assert not await blobs.move("in/a", "out/b")


async def test_many_who_move_a_file_lose_nothing(blobs: Blobs, tmp_path: Path) -> None:
    await kept(blobs, tmp_path, "in/a")
    moved = await asyncio.gather(*(blobs.move("in/a", "out/a") for _ in range(8)))
    assert any(moved)
    assert await content(blobs, "out/a") == "in/a"
