"""Knows how the files of sessions are kept as packs among blobs; see `pinnace.core.ports.Workspaces` for what it promises.

Every state is a manifest of its own, `STATE.manifest`; packs stay as long as the current state needs a byte of them, and are
written anew together once half of what they hold is not needed any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import pathspec

from pinnace.core.adapters.local.packing import Content, Item, Manifest, Packer, rebuild, scan, too_large, unpack
from pinnace.core.errors import InvalidRequest, StoreFailed
from pinnace.core.model.sessions import WorkspaceFile
from pinnace.core.ports import Blobs

_T = TypeVar("_T")
#: Where a directory says, in the syntax of `.gitignore`, what of it is not kept.
IGNORE_FILE = ".pinnaceignore"
#: Bytes of packs from which it is worth writing them anew.
WORTH_PACKING = 8 << 20
#: As much of an ignore file is read.
LONGEST_IGNORE = 64 * 1024


class PackedWorkspaces:
    """`Workspaces` on `blobs`; `ignore` are patterns of what is never kept, `limit` is in bytes."""

    def __init__(self, blobs: Blobs, *, ignore: Sequence[str] = (), limit: int = 1 << 30) -> None:
        self._blobs, self._ignore, self._limit = blobs, tuple(ignore), limit

    async def restore(self, name: str, state: str, directory: Path) -> None:
        manifest = await self._manifest(name, state)
        with tempfile.TemporaryDirectory(prefix="pinnace-") as scratch:
            needed = {item.content.pack for item in manifest.items.values() if item.content}
            await asyncio.gather(*(self._fetch(name, pack, Path(scratch)) for pack in needed))
            await _in_thread(lambda: _rebuilt(directory, manifest, Path(scratch)))

    async def save(self, name: str, state: str | None, directory: Path) -> str:
        before = Manifest() if state is None else await self._manifest(name, state)
        with tempfile.TemporaryDirectory(prefix="pinnace-") as scratch:
            pack, place = f"{secrets.token_hex(8)}.pack", Path(scratch) / "pack"
            ignored = _ignoring(directory, self._ignore)
            after = await _in_thread(lambda: _packed(directory, before, pack, place, ignored, self._limit))
            if state is not None and after.items == before.items:
                return state
            if pack in after.packs:
                await self._blobs.put(f"{name}/{pack}", place)
            if sum(after.packs.values()) > max(WORTH_PACKING, 2 * after.used):
                await self._repack(name, after, Path(scratch))
            return await self._keep(name, after, Path(scratch))

    async def settle(self, name: str, before: str | None, now: str) -> None:
        if before is None or before == now:
            return
        old, new = await self._manifest(name, before), await self._manifest(name, now)
        for pack in old.packs.keys() - new.packs.keys():
            await self._blobs.delete(f"{name}/{pack}")
        await self._blobs.delete(f"{name}/{before}.manifest")

    async def files(self, name: str, state: str) -> Sequence[WorkspaceFile]:
        manifest = await self._manifest(name, state)
        return [
            WorkspaceFile(os.fsencode(path).decode(errors="replace"), item.content.size, item.mtime / 1e9)
            for path, item in sorted(manifest.items.items())
            if item.content is not None
        ]

    async def read(self, name: str, state: str, path: str, target: Path) -> bool:
        item = (await self._manifest(name, state)).items.get(path)
        content = None if item is None else item.content
        if content is None:
            return False
        with tempfile.TemporaryDirectory(prefix="pinnace-") as scratch:
            await self._fetch(name, content.pack, Path(scratch))
            await _in_thread(lambda: _unpacked(Path(scratch) / content.pack, content, target))
        return True

    async def write(self, name: str, state: str | None, path: str, source: Path) -> str:
        manifest = Manifest() if state is None else await self._manifest(name, state)
        _check_path(path, manifest)
        with tempfile.TemporaryDirectory(prefix="pinnace-") as scratch:
            pack, place = f"{secrets.token_hex(8)}.pack", Path(scratch) / "pack"
            await _in_thread(lambda: _with_file(manifest, path, source, pack, place, self._limit))
            await self._blobs.put(f"{name}/{pack}", place)
            return await self._keep(name, manifest, Path(scratch))

    async def copy(self, name: str, state: str, target: str) -> None:
        manifest = await self._manifest(name, state)
        for part in (*manifest.packs, f"{state}.manifest"):
            await self._blobs.copy(f"{name}/{part}", f"{target}/{part}")

    async def forget(self, name: str) -> None:
        await self._blobs.delete_all(name)

    async def _manifest(self, name: str, state: str) -> Manifest:
        with tempfile.TemporaryDirectory(prefix="pinnace-") as scratch:
            place = Path(scratch) / "manifest"
            if not await self._blobs.get(f"{name}/{state}.manifest", place):
                raise StoreFailed("The files of this session are not in the server's store any more.")
            return await _in_thread(lambda: Manifest.decode(place.read_bytes()))

    async def _fetch(self, name: str, pack: str, scratch: Path) -> None:
        if not await self._blobs.get(f"{name}/{pack}", scratch / pack):
            raise StoreFailed("The files of this session are not in the server's store any more.")

    async def _keep(self, name: str, manifest: Manifest, scratch: Path) -> str:
        state, place = secrets.token_hex(8), scratch / "manifest"
        await _in_thread(lambda: place.write_bytes(manifest.encode()))
        await self._blobs.put(f"{name}/{state}.manifest", place)
        return state

    async def _repack(self, name: str, manifest: Manifest, scratch: Path) -> None:
        """Put everything that is needed into one new pack."""
        await asyncio.gather(*(self._fetch(name, pack, scratch) for pack in manifest.packs))
        pack, place = f"{secrets.token_hex(8)}.pack", scratch / "new"
        await _in_thread(lambda: _repacked(manifest, pack, place, scratch))
        await self._blobs.put(f"{name}/{pack}", place)


async def _in_thread(work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise StoreFailed("The files of this session cannot be read or written at the moment.") from error


def _ignoring(directory: Path, patterns: Sequence[str]) -> Callable[[str], bool]:
    lines = list(patterns)
    with contextlib.suppress(OSError):
        descriptor = os.open(directory / IGNORE_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                lines += file.read(LONGEST_IGNORE).decode(errors="replace").splitlines()
    return pathspec.GitIgnoreSpec.from_lines(lines).match_file


def _packed(
    directory: Path, before: Manifest, pack: str, place: Path, ignored: Callable[[str], bool], limit: int
) -> Manifest:
    with place.open("wb") as target:
        packer = Packer(pack, target)
        items = scan(directory, before, packer, ignored, limit)
    return _manifest_of(items, before.packs | {pack: packer.size})


def _manifest_of(items: dict[str, Item], packs: dict[str, int]) -> Manifest:
    needed = {item.content.pack for item in items.values() if item.content}
    return Manifest(items, {pack: size for pack, size in packs.items() if pack in needed})


def _with_file(manifest: Manifest, path: str, source: Path, pack: str, place: Path, limit: int) -> None:
    size = source.stat().st_size
    others = sum(item.content.size for other, item in manifest.items.items() if item.content and other != path)
    if others + size > limit:
        raise too_large(limit)
    with place.open("wb") as target, source.open("rb") as opened:
        packer = Packer(pack, target)
        content = packer.add(opened, limit)
    before = manifest.items.get(path)
    manifest.items[path] = Item(before.mode if before else 0o644, source.stat().st_mtime_ns, content)
    packs = manifest.packs | {pack: packer.size}
    manifest.packs = _manifest_of(manifest.items, packs).packs


def _check_path(path: str, manifest: Manifest) -> None:
    """Refuse a path that leads out of the directory, or through something that is no directory.

    Raises:
        InvalidRequest: it does.
    """
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise InvalidRequest("must be a path within the session's directory, such as notes/today.txt", path="path")
    above = ["/".join(parts[:number]) for number in range(1, len(parts))]
    for parent in above:
        item = manifest.items.get(parent)
        if item is not None and (item.content is not None or item.target is not None):
            raise InvalidRequest("leads through something that is no directory", path="path")
    present = manifest.items.get(path)
    if present is not None and present.content is None:
        raise InvalidRequest("is a directory or a link", path="path")


def _repacked(manifest: Manifest, pack: str, place: Path, scratch: Path) -> None:
    with place.open("wb") as target, _opening(scratch) as opened:
        packer = Packer(pack, target)
        for path, item in manifest.items.items():
            if item.content is not None:
                content = packer.take(opened(item.content.pack), item.content)
                manifest.items[path] = Item(item.mode, item.mtime, content)
    manifest.packs = {pack: packer.size}


def _rebuilt(directory: Path, manifest: Manifest, scratch: Path) -> None:
    with _opening(scratch) as opened:
        rebuild(directory, manifest, opened)


def _unpacked(pack: Path, content: Content, place: Path) -> None:
    with pack.open("rb") as source, place.open("wb") as target:
        unpack(source, content, target)


@contextlib.contextmanager
def _opening(scratch: Path) -> Iterator[Callable[[str], BinaryIO]]:
    with contextlib.ExitStack() as files:
        opened: dict[str, BinaryIO] = {}

        def open_pack(pack: str) -> BinaryIO:
            if pack not in opened:
                opened[pack] = files.enter_context((scratch / pack).open("rb"))
            return opened[pack]

        yield open_pack
