"""Knows that a directory comes back as it was, that only what changed is written, and that nothing else is ever touched."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest
from blob_stores import KINDS

from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.local.workspaces import PackedWorkspaces
from pinnace.core.errors import InvalidRequest, RequestTooLarge, StoreFailed
from pinnace.core.ports import BlobEntry, Blobs

NAME = "0123456789abcdef/session"


class CountingBlobs:
    """Blobs that note how many bytes were put."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs, self.put_bytes, self.names = blobs, 0, set[str]()

    async def put(self, name: str, source: Path) -> None:
        self.put_bytes += (await asyncio.to_thread(source.stat)).st_size
        self.names.add(name)
        await self._blobs.put(name, source)

    async def take(self, name: str, source: Path) -> None:
        await self.put(name, source)

    async def get(self, name: str, target: Path) -> bool:
        return await self._blobs.get(name, target)

    def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        return self._blobs.read(name, start, length)

    async def move(self, source: str, target: str) -> bool:
        return await self._blobs.move(source, target)

    async def listed(self, prefix: str, limit: int) -> Sequence[BlobEntry]:
        return await self._blobs.listed(prefix, limit)

    async def copy(self, source: str, target: str) -> None:
        await self._blobs.copy(source, target)

    async def delete(self, name: str) -> None:
        self.names.discard(name)
        await self._blobs.delete(name)

    async def delete_all(self, prefix: str) -> None:
        self.names = {name for name in self.names if not name.startswith(f"{prefix}/")}
        await self._blobs.delete_all(prefix)


@pytest.fixture(params=list(KINDS))
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> CountingBlobs:
    return CountingBlobs(KINDS[request.param](tmp_path))


@pytest.fixture
def workspaces(blobs: CountingBlobs) -> PackedWorkspaces:
    return PackedWorkspaces(blobs, ignore=["node_modules/"], limit=64 << 20)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    return place


async def restored(workspaces: PackedWorkspaces, state: str, tmp_path: Path, name: str = NAME) -> Path:
    place = tmp_path / f"restored-{state}-{name.replace('/', '-')}"
    place.mkdir()
    await workspaces.restore(name, state, place)
    return place


def pictured(directory: Path) -> dict[str, tuple[object, ...]]:
    """All that is kept of a directory."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        found = path.lstat()
        inside = str(path.relative_to(directory))
        if path.is_symlink():
            seen[inside] = ("link", os.readlink(path))
        elif path.is_dir():
            seen[inside] = ("directory", stat.S_IMODE(found.st_mode), found.st_mtime_ns)
        else:
            seen[inside] = ("file", stat.S_IMODE(found.st_mode), found.st_mtime_ns, path.read_bytes())
    return seen


def fill(work: Path) -> None:
    (work / "sub" / "deep").mkdir(parents=True)
    (work / "empty").mkdir(mode=0o750)
    (work / "note.txt").write_text("ahoy")
    (work / "sub" / "deep" / "ünï \n name").write_bytes(bytes(range(256)) * 10)
    (work / os.fsdecode(b"not\xfftext")).write_bytes(b"")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "secret").write_text("x")
    (work / "secret").chmod(0o400)
    (work / "link").symlink_to("note.txt")
    (work / "dangling").symlink_to("/no/such/place")
    (work / "outside").symlink_to("/etc")
    os.utime(work / "note.txt", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    os.utime(work / "sub", ns=(1_500_000_000_000_000_000, 1_500_000_000_000_000_000))


async def test_a_directory_comes_back_as_it_was(workspaces: PackedWorkspaces, work: Path, tmp_path: Path) -> None:
    fill(work)
    state = await workspaces.save(NAME, None, work)
    assert pictured(await restored(workspaces, state, tmp_path)) == pictured(work)


async def test_only_what_changed_is_written(workspaces: PackedWorkspaces, blobs: CountingBlobs, work: Path) -> None:
    for number in range(20):
        (work / f"big{number}").write_bytes(os.urandom(1 << 20))
    first = await workspaces.save(NAME, None, work)
    before = blobs.put_bytes
    assert before > 20 << 20
    assert await workspaces.save(NAME, first, work) == first
    assert blobs.put_bytes == before
    (work / "big7").write_bytes(b"changed")
    await workspaces.save(NAME, first, work)
    assert blobs.put_bytes - before < 10_000


async def test_each_state_is_what_the_directory_was_then(
    workspaces: PackedWorkspaces, work: Path, tmp_path: Path
) -> None:
    states, pictures = list[str](), list[dict[str, tuple[object, ...]]]()
    state = None
    for turn in range(5):
        (work / f"file{turn}").write_text(f"turn {turn}")
        (work / "same").write_text(f"now {turn}")
        (work / "gone").unlink(missing_ok=True) if turn % 2 else (work / "gone").write_text("here")
        state = await workspaces.save(NAME, state, work)
        states.append(state)
        pictures.append(pictured(work))
    for kept, picture in zip(states, pictures, strict=True):
        assert pictured(await restored(workspaces, kept, tmp_path)) == picture


async def test_what_no_state_needs_is_dropped_and_packs_are_written_anew(
    workspaces: PackedWorkspaces, blobs: CountingBlobs, work: Path, tmp_path: Path
) -> None:
    (work / "stays").write_text("stays")
    state = None
    for _ in range(12):
        (work / "changes").write_bytes(os.urandom(2 << 20))
        (work / "changes a little").write_bytes(os.urandom(100))
        after = await workspaces.save(NAME, state, work)
        await workspaces.settle(NAME, state, after)
        state = after
    assert state is not None
    assert pictured(await restored(workspaces, state, tmp_path)) == pictured(work)
    assert len(blobs.names) <= 14
    await workspaces.forget(NAME)
    assert blobs.names == set()


async def test_what_is_ignored_is_not_kept(workspaces: PackedWorkspaces, work: Path, tmp_path: Path) -> None:
    for path in ("node_modules/a/index.js", "build/out.bin", "src/main.py", "src/main.pyc", "keep/build.txt"):
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(path)
    (work / ".pinnaceignore").write_text("/build/\n*.pyc\n")
    state = await workspaces.save(NAME, None, work)
    kept = {path for path, what in pictured(await restored(workspaces, state, tmp_path)).items() if what[0] == "file"}
    assert kept == {".pinnaceignore", "src/main.py", "keep/build.txt"}


async def test_links_and_what_is_no_file_lead_nowhere(workspaces: PackedWorkspaces, work: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "treasure").write_text("gold")
    (work / "way").symlink_to(outside)
    (work / ".pinnaceignore").symlink_to(outside / "treasure")
    os.mkfifo(work / "pipe")
    state = await workspaces.save(NAME, None, work)
    again = await restored(workspaces, state, tmp_path)
    assert {path.name for path in again.iterdir()} == {"way", ".pinnaceignore"}
    assert (again / "way").is_symlink()
    assert {file.path for file in await workspaces.files(NAME, state)} == set()
    assert not await workspaces.read(NAME, state, "way/treasure", tmp_path / "got")


async def test_a_directory_that_is_swapped_for_a_link_meanwhile_is_not_followed(
    workspaces: PackedWorkspaces, work: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "treasure").write_text("gold")
    stop = time.monotonic() + 1.0

    def swap() -> None:
        while time.monotonic() < stop:
            (work / "sub").mkdir()
            (work / "sub").rmdir()
            (work / "sub").symlink_to(outside)
            (work / "sub").unlink()

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    while not swapping.done():
        state = await workspaces.save(NAME, None, work)
        assert [file.path for file in await workspaces.files(NAME, state)] == []
    await swapping


async def test_more_than_may_be_kept_is_refused_with_what_to_do(blobs: CountingBlobs, work: Path) -> None:
    small = PackedWorkspaces(blobs, limit=1000)
    (work / "fits").write_bytes(bytes(600))
    state = await small.save(NAME, None, work)
    (work / "too much").write_bytes(bytes(401))
    with pytest.raises(RequestTooLarge, match=r"\.pinnaceignore"):
        await small.save(NAME, state, work)
    (work / ".pinnaceignore").write_text("too much\n")
    assert await small.save(NAME, state, work) != state


async def test_a_file_can_be_read_and_put_in(workspaces: PackedWorkspaces, work: Path, tmp_path: Path) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "a.txt").write_text("one")
    (work / "link").symlink_to("sub")
    state = await workspaces.save(NAME, None, work)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"two")
    after = await workspaces.write(NAME, state, "new/b.bin", source)
    after = await workspaces.write(NAME, after, "sub/a.txt", source)
    assert [(file.path, file.size) for file in await workspaces.files(NAME, after)] == [
        ("new/b.bin", 3),
        ("sub/a.txt", 3),
    ]
    assert await workspaces.read(NAME, after, "new/b.bin", target)
    assert target.read_bytes() == b"two"
    again = await restored(workspaces, after, tmp_path)
    assert (again / "sub" / "a.txt").read_bytes() == b"two"
    for path in ("", "/etc/passwd", "../x", "a/../../x", "a//b", "link/x", "sub/a.txt/x", "sub", "link", "a\0b"):
        with pytest.raises(InvalidRequest):
            await workspaces.write(NAME, after, path, source)


async def test_a_copy_is_independent(workspaces: PackedWorkspaces, work: Path, tmp_path: Path) -> None:
    fill(work)
    state = await workspaces.save(NAME, None, work)
    await workspaces.copy(NAME, state, "fedcba/other")
    await workspaces.forget(NAME)
    with pytest.raises(StoreFailed):
        await workspaces.restore(NAME, state, tmp_path)
    assert pictured(await restored(workspaces, state, tmp_path, "fedcba/other")) == pictured(work)


@pytest.mark.parametrize("kind", ["local", "s3"])
async def test_a_name_that_is_none_reaches_nothing(tmp_path: Path, kind: str) -> None:
    blobs = KINDS[kind](tmp_path)
    (tmp_path / "file").write_text("x")
    for name in ("", "../x", "/etc/passwd", "a//b", "a/./b"):
        with pytest.raises(ValueError, match="no name"):
            await blobs.put(name, tmp_path / "file")


async def test_files_are_for_the_servers_user_alone(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "data" / "blobs")
    (tmp_path / "file").write_text("x")
    await blobs.put("a/b/c", tmp_path / "file")
    assert (tmp_path / "data" / "blobs").stat().st_mode & 0o777 == 0o700
