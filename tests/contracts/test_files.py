"""Knows what every store of files' records promises: one way from upload to end, order, and a quota that is never exceeded."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from crowds import in_threads
from file_stores import KINDS, SHARED, fill, upload

from pinnace.core.errors import StorageExceeded
from pinnace.core.model.files import FileState, StoredFile
from pinnace.core.ports import Files

QUOTA = 1_000


@pytest.fixture(params=list(KINDS))
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Files]:
    opened = KINDS[request.param](tmp_path)
    yield opened.files
    await opened.close()


async def added(files: Files, file: StoredFile) -> StoredFile:
    await files.begin(file, QUOTA)
    assert await files.complete(file)
    return replace(file, state=FileState.READY)


async def test_an_upload_counts_and_is_listed_once_it_is_complete(files: Files) -> None:
    begun = upload()
    await files.begin(begun, QUOTA)
    assert await files.find("p", begun.id) == begun
    assert await files.page("p", 10) == []
    assert await files.used("p") == 10
    became = replace(begun, sha256="ab", blob="x/y", mime_type="image/png", created_at=5.0, expires_at=9_000.0)
    assert await files.complete(became)
    ready = replace(became, state=FileState.READY)
    assert await files.find("p", begun.id) == ready
    assert await files.page("p", 10) == [ready]
    assert await files.used("p") == 10


async def test_a_file_goes_one_way_and_each_step_is_made_once(files: Files) -> None:
    begun = upload()
    assert not await files.complete(begun)
    await files.begin(begun, QUOTA)
    assert not await files.remove(begun)
    assert await files.complete(begun)
    assert not await files.complete(begun)
    assert not await files.withdraw(begun)
    ready = replace(begun, state=FileState.READY)
    assert await files.withdraw(ready)
    assert not await files.withdraw(ready)
    assert not await files.complete(begun)
    assert await files.page("p", 10) == []
    assert await files.used("p") == 10
    leaving = replace(ready, state=FileState.LEAVING)
    assert await files.find("p", begun.id) == leaving
    assert await files.remove(leaving)
    assert not await files.remove(leaving)
    assert not await files.withdraw(leaving)
    assert await files.find("p", begun.id) is None
    assert await files.used("p") == 0


async def test_a_quota_is_filled_to_the_byte_and_says_what_is_left(files: Files) -> None:
    for size in (400, 0, 600):
        await files.begin(upload(size=size), QUOTA)
    with pytest.raises(StorageExceeded) as refused:
        await files.begin(upload(size=1), QUOTA)
    assert (refused.value.limit, refused.value.left, refused.value.needed) == (QUOTA, 0, 1)
    for project_id, size, left in (("q", QUOTA + 1, QUOTA), ("p", 5, 0)):
        with pytest.raises(StorageExceeded) as refused:
            await files.begin(upload(project_id=project_id, size=size), QUOTA)
        assert refused.value.left == left
    await files.begin(upload(size=0), QUOTA)
    assert (await files.used("p"), await files.used("q")) == (QUOTA, 0)


async def test_files_are_listed_newest_first_a_page_at_a_time_in_both_directions(files: Files) -> None:
    made = [await added(files, upload(float(moment), size=1)) for moment in range(1, 8)]
    await files.begin(upload(3.5), QUOTA)
    listed = made[::-1]
    assert await files.page("p", 3) == listed[:3]
    assert await files.page("p", 3, after=listed[2].id) == listed[3:6]
    assert await files.page("p", 3, after=listed[5].id) == listed[6:]
    assert await files.page("p", 3, after=listed[6].id) == []
    assert await files.page("p", 3, before=listed[6].id) == listed[3:6]
    assert await files.page("p", 9, before=listed[1].id) == listed[:1]
    assert await files.page("p", 9, before=listed[0].id) == []
    assert await files.withdraw(listed[2])
    assert await files.remove(listed[2])
    assert await files.page("p", 2, after=listed[2].id) == listed[3:5]
    assert await files.page("p", 2, before=listed[2].id) == listed[:2]


async def test_a_page_is_full_however_many_uploads_lie_in_between(files: Files) -> None:
    oldest = [await added(files, upload(1.0 + number / 10, size=1)) for number in range(3)]
    for number in range(30):
        await files.begin(upload(5.0 + number / 10, size=1), QUOTA)
    newest = await added(files, upload(50.0, size=1))
    assert await files.page("p", 3) == [newest, oldest[2], oldest[1]]
    assert await files.page("p", 1, before=oldest[2].id) == [newest]


async def test_another_project_s_file_is_not_there(files: Files) -> None:
    mine = await added(files, upload())
    theirs = replace(mine, project_id="q")
    assert await files.find("q", mine.id) is None
    assert await files.many("q", [mine.id]) == []
    assert await files.page("q", 10) == []
    assert await files.used("q") == 0
    assert not await files.withdraw(theirs)
    assert not await files.remove(theirs)
    assert await files.find("p", mine.id) == mine


async def test_many_are_asked_for_at_once_and_those_that_are_not_there_are_left_out(files: Files) -> None:
    made = [await added(files, upload(float(number + 1), size=1)) for number in range(120)]
    wanted = [made[5].id, "file_none", made[100].id, made[5].id]
    assert await files.many("p", wanted) == [made[100], made[5]]
    assert len(await files.many("p", [file.id for file in made])) == 120
    assert await files.many("p", []) == []


async def test_what_is_over_is_named_of_every_project(files: Files) -> None:
    abandoned = upload(1.0, completes_by=50.0)
    await files.begin(abandoned, QUOTA)
    finished = await added(files, upload(2.0, completes_by=50.0))
    expired = await added(files, upload(3.0, project_id="q", completes_by=500.0, expires_at=60.0))
    later = await added(files, upload(4.0, expires_at=400.0))
    assert await files.expired(49.9, 10) == []
    assert [file.id for file in await files.expired(50.0, 10)] == [abandoned.id]
    assert {file.id for file in await files.expired(60.0, 10)} == {abandoned.id, expired.id}
    assert len(await files.expired(60.0, 1)) == 1
    assert await files.withdraw(finished)
    assert [file.id for file in await files.expired(0.0, 10)] == [finished.id]
    for file in (abandoned, expired, replace(finished, state=FileState.LEAVING)):
        await files.withdraw(file)
        assert await files.remove(file)
    assert await files.expired(399.0, 10) == []
    assert [file.id for file in await files.expired(400.0, 10)] == [later.id]


async def test_an_upload_is_completed_by_one_of_many(files: Files) -> None:
    begun = upload()
    await files.begin(begun, QUOTA)
    done = await asyncio.gather(*(files.complete(replace(begun, blob=str(number))) for number in range(20)))
    assert sum(done) == 1
    kept = await files.find("p", begun.id)
    assert kept is not None
    assert kept.blob == str(done.index(True))


async def test_an_upload_is_completed_or_withdrawn_and_never_both(files: Files) -> None:
    for _ in range(10):
        begun = upload()
        await files.begin(begun, QUOTA)
        completed, withdrawn = await asyncio.gather(files.complete(begun), files.withdraw(begun))
        assert completed is not withdrawn


def test_a_quota_is_not_exceeded_by_many_threads(files: Files) -> None:
    async def one(_number: int) -> bool:
        try:
            await files.begin(upload(), QUOTA)
        except StorageExceeded:
            return False
        assert await files.used("p") <= QUOTA
        return True

    assert in_threads(one, 150) == QUOTA // 10
    assert asyncio.run(files.used("p")) == QUOTA


def test_bytes_that_come_and_go_at_once_are_counted_to_the_last(files: Files) -> None:
    async def one(number: int) -> bool:
        made = upload(size=number % 7)
        await files.begin(made, QUOTA)
        assert await files.withdraw(made)
        gone = await asyncio.gather(*(files.remove(made) for _ in range(3)))
        return sum(gone) == 1

    assert in_threads(one, 100) == 100
    assert asyncio.run(files.used("p")) == 0


@pytest.mark.parametrize("kind", SHARED)
def test_a_quota_is_not_exceeded_by_many_processes(kind: str, tmp_path: Path) -> None:
    opened = KINDS[kind](tmp_path)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        stay = sum(pool.starmap(fill, [(kind, tmp_path, 60)] * 3))

    async def used() -> int:
        found = await opened.files.used("p")
        await opened.close()
        return found

    assert asyncio.run(used()) == 10 * stay <= 500


def test_ids_are_in_the_order_of_time_and_the_server_s_own() -> None:
    ids = [upload(moment).id for moment in (0.0, 1.0, time.time(), 4e9, 1.7e10)]
    assert ids == sorted(ids)
    assert len(set(ids) | {upload(1.0).id for _ in range(100)}) == 105
