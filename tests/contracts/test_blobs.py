"""Knows that files come back as they were, whole or in part, and that names reach nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from blob_stores import KINDS

from pinnace.core.adapters.blob_names import PIECE
from pinnace.core.errors import StoreFailed
from pinnace.core.ports import Blobs

BYTES = os.urandom(2 * PIECE + 17)


@pytest.fixture(params=list(KINDS))
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return KINDS[request.param](tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(BYTES)
    return path


async def whole(blobs: Blobs, name: str, start: int = 0, length: int | None = None) -> bytes:
    pieces = [piece async for piece in blobs.read(name, start, length)]
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, None),
        (0, 1),
        (1, None),
        (PIECE - 1, 2),
        (PIECE, PIECE),
        (0, 0),
        (len(BYTES) - 1, 5),
        (len(BYTES), None),
        (len(BYTES) + 9, 3),
        (5, 10 * PIECE),
    ],
)
async def test_any_part_of_a_file_can_be_read(blobs: Blobs, source: Path, start: int, length: int | None) -> None:
    await blobs.put("a/b", source)
    assert await whole(blobs, "a/b", start, length) == BYTES[start:][:length]


async def test_a_file_that_is_taken_is_kept_in_the_place_of_what_was_there(
    blobs: Blobs, source: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    await blobs.put("a/b", other)
    await blobs.take("a/b", source)
    assert await whole(blobs, "a/b") == BYTES
    await asyncio.to_thread(source.unlink, missing_ok=True)
    assert await whole(blobs, "a/b") == BYTES


async def test_what_is_taken_and_is_not_there_fails(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises((StoreFailed, FileNotFoundError)):
        await blobs.take("a/b", tmp_path / "none")
    assert not await blobs.get("a/b", tmp_path / "got")


async def test_files_come_and_go_beside_each_other(blobs: Blobs, tmp_path: Path) -> None:
    async def one(number: int) -> None:
        source = tmp_path / str(number)
        source.write_bytes(b"x")
        await blobs.take(f"a/{number}/x", source)
        await blobs.delete_all(f"a/{number}")

    await asyncio.gather(*(one(number) for number in range(60)))
    with pytest.raises(StoreFailed):
        await whole(blobs, "a/0/x")


async def test_an_empty_file_is_a_file(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    await blobs.put("empty", tmp_path / "empty")
    assert await whole(blobs, "empty") == b""
    assert await blobs.get("empty", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b""


async def test_a_file_that_is_replaced_is_read_as_it_was_or_as_it_is(
    blobs: Blobs, source: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    await blobs.put("a", source)
    first, *others = await asyncio.gather(whole(blobs, "a"), blobs.put("a", other), whole(blobs, "a"))
    assert {first, others[-1]} <= {BYTES, b"other"}
    assert await whole(blobs, "a") == b"other"


async def test_what_was_dropped_or_never_there_cannot_be_read(blobs: Blobs, source: Path, tmp_path: Path) -> None:
    await blobs.put("a/b", source)
    await blobs.put("a/c", source)
    await blobs.delete("a/b")
    for name in ("a/b", "a/d"):
        assert not await blobs.get(name, tmp_path / "got")
        with pytest.raises(StoreFailed, match="not there any more"):
            await whole(blobs, name)
    await blobs.delete_all("a")
    with pytest.raises(StoreFailed):
        await whole(blobs, "a/c")


async def test_a_reader_may_stop_in_the_middle(blobs: Blobs, source: Path) -> None:
    await blobs.put("a", source)
    reading = blobs.read("a")
    assert await anext(reading) == BYTES[:PIECE]
    await reading.aclose()
    assert await whole(blobs, "a") == BYTES
