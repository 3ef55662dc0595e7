"""Knows that a file is there whole or not at all, and that nothing of it stays, wherever its server dies."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from filing import Fate, Killed, MortalBlobs, Shelf, bytes_of, shelf

from pinnace.core.errors import NotFound, RequestTooLarge, StorageExceeded, StoreFailed
from pinnace.core.usecases.filing import CLEANING, LEASE

DATA = b"seven barrels of tar\n" * 100


async def assert_nothing_is_left(kept: Shelf, place: Path) -> None:
    assert list(kept.blobs.names) == []
    assert await kept.files.used("p") == 0
    assert await kept.files.expired(1e12, 10) == []
    arriving = place / "arriving"
    assert not arriving.exists() or list(arriving.iterdir()) == []


async def test_a_file_is_kept_with_its_checksum_and_type_and_is_read_in_parts(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    file = await kept.upload(DATA)
    assert file == await kept.book.show("p", file.id)
    assert (file.size, file.mime_type, file.sha256) == (len(DATA), "text/plain", hashlib.sha256(DATA).hexdigest())
    assert await bytes_of(kept.book.read(file)) == DATA
    assert await bytes_of(kept.book.read(file, 6, 7)) == b"barrels"
    await kept.book.drop("p", file.id)
    await assert_nothing_is_left(kept, tmp_path)


async def test_an_empty_file_is_a_file_and_a_nameless_one_gets_a_name(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    file = await kept.upload(b"", name=None)
    assert (file.size, file.filename, file.mime_type) == (0, "unnamed.txt", "text/plain")
    assert await bytes_of(kept.book.read(file)) == b""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("steps", range(3))
async def test_a_server_that_dies_while_it_keeps_a_file_leaves_all_of_it_or_nothing(
    tmp_path: Path, steps: int, after: bool
) -> None:
    kept = shelf(tmp_path, Fate(steps, after))
    with pytest.raises(Killed):
        await kept.upload(DATA)
    kept.revive()
    listed = await kept.book.list("p", 10)
    if kept.files.fate.taken or (steps == 2 and after):
        assert [await bytes_of(kept.book.read(file)) for file in listed] == [DATA]
        await kept.book.drop("p", listed[0].id)
    else:
        assert listed == []
    kept.clock.time += LEASE
    await kept.book.sweep()
    await assert_nothing_is_left(kept, tmp_path)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("steps", range(3))
async def test_a_server_that_dies_while_it_drops_a_file_leaves_all_of_it_or_nothing(
    tmp_path: Path, steps: int, after: bool
) -> None:
    kept = shelf(tmp_path)
    file = await kept.upload(DATA)
    kept.files.fate = kept.blobs.fate = Fate(steps, after)
    with pytest.raises(Killed):
        await kept.book.drop("p", file.id)
    kept.revive()
    if steps == 0 and not after:
        assert await bytes_of(kept.book.read(await kept.book.show("p", file.id))) == DATA
        await kept.book.drop("p", file.id)
    with pytest.raises(NotFound):
        await kept.book.show("p", file.id)
    await kept.book.sweep()
    await assert_nothing_is_left(kept, tmp_path)


async def test_a_caller_who_leaves_while_a_file_is_kept_has_sent_all_of_it(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    uploading = asyncio.create_task(kept.upload(DATA))
    await kept.files.fate.began.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    (file,) = await kept.book.list("p", 10)
    assert await bytes_of(kept.book.read(file)) == DATA


async def test_a_caller_who_leaves_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    kept = shelf(tmp_path)

    async def cut() -> None:
        async with kept.book.receiving("p") as arrival:
            await arrival.write(DATA)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await cut()
    await assert_nothing_is_left(kept, tmp_path)


async def test_a_file_that_is_too_large_or_has_no_room_leaves_nothing(tmp_path: Path) -> None:
    kept = shelf(tmp_path, max_bytes=1_000, quota=1_500)
    with pytest.raises(RequestTooLarge):
        await kept.upload(b"x" * 1_001)
    await assert_nothing_is_left(kept, tmp_path)
    await kept.upload(b"x" * 1_000)
    with pytest.raises(StorageExceeded) as refused:
        await kept.upload(b"x" * 501)
    assert (refused.value.left, refused.value.needed) == (500, 501)
    await kept.upload(b"x" * 500)
    assert await kept.files.used("p") == 1_500
    assert len(kept.blobs.names) == 2


async def test_files_that_come_at_once_do_not_fill_the_disk_beyond_the_quota(tmp_path: Path) -> None:
    kept = shelf(tmp_path, quota=1_500)
    async with kept.book.receiving("p") as first, kept.book.receiving("p") as second:
        await first.write(b"x" * 1_000)
        with pytest.raises(StorageExceeded):
            await second.write(b"x" * 1_000)
        async with kept.book.receiving("q") as other:
            await other.write(b"x" * 1_500)
        await kept.book.add("p", first, "a", None, None)
    results = await asyncio.gather(*(kept.upload(b"x" * 300) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, StorageExceeded) for result in results) == 4
    assert await kept.files.used("p") == 1_300


class FullBlobs(MortalBlobs):
    """A disk without room."""

    async def take(self, name: str, source: Path) -> None:
        raise StoreFailed("The disk is full.")


async def test_a_store_that_fails_leaves_nothing(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    kept.book.blobs = FullBlobs(kept.files.fate)
    with pytest.raises(StoreFailed, match="full"):
        await kept.upload(DATA)
    await assert_nothing_is_left(kept, tmp_path)


async def test_a_file_goes_when_its_time_is_over(tmp_path: Path) -> None:
    kept = shelf(tmp_path, ttl=60.0)
    file = await kept.upload(DATA)
    assert file.expires_at == kept.clock.time + 60
    kept.clock.time += 59
    assert await kept.book.sweep() == 0
    assert await kept.book.some("p", [file.id, "no id"]) == [file]
    kept.clock.time += 1
    with pytest.raises(NotFound):
        await kept.book.show("p", file.id)
    assert await kept.book.list("p", 10) == []
    assert await kept.book.some("p", [file.id]) == []
    assert await kept.book.sweep() == 1
    await assert_nothing_is_left(kept, tmp_path)


async def test_a_page_is_full_though_files_in_between_have_expired(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    made = []
    for number in range(9):
        kept.clock.time += 1
        async with kept.book.receiving("p") as arrival:
            made.append(await kept.book.add("p", arrival, f"{number}", None, 5.0 if number % 3 else None))
    kept.clock.time += 100
    stay = [file.id for file in reversed(made) if file.expires_at is None]
    assert [file.id for file in await kept.book.list("p", 2)] == stay[:2]
    assert [file.id for file in await kept.book.list("p", 2, after=stay[1])] == stay[2:]
    assert [file.id for file in await kept.book.list("p", 2, before=stay[2])] == stay[:2]
    assert [file.id for file in await kept.book.list("p", 2, before=stay[1])] == stay[:1]


async def test_what_a_server_that_was_killed_had_received_is_dropped_and_nothing_newer(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    for name, age in (("old", LEASE + 1), ("young", LEASE - 1)):
        (arriving / name).write_bytes(b"x")
        os.utime(arriving / name, (kept.clock.time - age, kept.clock.time - age))
    await kept.book.sweep()
    assert [path.name for path in arriving.iterdir()] == ["young"]
    kept.clock.time += CLEANING
    await kept.book.sweep()
    assert list(arriving.iterdir()) == []
