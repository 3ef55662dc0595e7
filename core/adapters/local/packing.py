"""Knows how the files of a directory become packs and a list of them, and a directory again; it must not know where they go.

A pack holds the compressed contents of the files that one turn changed, one after the other. The list ("manifest") says what
the directory holds and where in which pack each content lies. Reading follows no symbolic link: a directory is walked by
descriptors, so that what is swapped for a link meanwhile is not followed either.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pinnace.core.errors import RequestTooLarge

#: Bytes that are read and compressed at a time.
PIECE = 1 << 20
#: Level 1 takes a fifth of the time of level 6, for a tenth more bytes.
LEVEL = 1


@dataclass(frozen=True, slots=True)
class Content:
    """Where a file's content lies: `length` bytes from `offset` in `pack`, `size` bytes when they are unpacked."""

    pack: str
    offset: int
    length: int
    size: int


@dataclass(frozen=True, slots=True)
class Item:
    """A file (`content`), a symbolic link (`target`), or a directory (neither). `mtime` is in nanoseconds."""

    mode: int
    mtime: int
    content: Content | None = None
    target: str | None = None


@dataclass(slots=True)
class Manifest:
    """What a directory holds, by path; and how many bytes each pack has."""

    items: dict[str, Item] = field(default_factory=dict)
    packs: dict[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As bytes; paths may hold bytes that are no text, which JSON's escapes keep."""
        items = {path: [item.mode, item.mtime, item.target, _fields(item.content)] for path, item in self.items.items()}
        return zlib.compress(json.dumps({"items": items, "packs": self.packs}).encode(), LEVEL)

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read what `encode` wrote."""
        raw: Mapping[str, Any] = json.loads(zlib.decompress(data))
        items = {
            path: Item(mode, mtime, Content(*content) if content else None, target)
            for path, (mode, mtime, target, content) in raw["items"].items()
        }
        return cls(items, raw["packs"])

    @property
    def used(self) -> int:
        """Bytes of the packs that some file needs."""
        return sum(item.content.length for item in self.items.values() if item.content)


class Packer:
    """Writes a pack, `name`, into a file, and notes what is in it."""

    def __init__(self, name: str, target: BinaryIO) -> None:
        self._name, self._target, self.size = name, target, 0

    def add(self, source: BinaryIO, most: int) -> Content:
        """Add a file's content of at most `most` bytes, however it grows meanwhile."""
        packer, offset, size = zlib.compressobj(LEVEL), self.size, 0
        while piece := source.read(min(PIECE, most - size)):
            size += len(piece)
            self._write(packer.compress(piece))
        self._write(packer.flush())
        return Content(self._name, offset, self.size - offset, size)

    def take(self, source: BinaryIO, content: Content) -> Content:
        """Add a content of another pack as it is."""
        offset = self.size
        source.seek(content.offset)
        left = content.length
        while left and (piece := source.read(min(PIECE, left))):
            self._write(piece)
            left -= len(piece)
        return Content(self._name, offset, content.length, content.size)

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self.size += len(data)


def scan(
    directory: Path, before: Manifest, packer: Packer, ignored: Callable[[str], bool], limit: int
) -> dict[str, Item]:
    """Read a directory: what did not change keeps its content, the rest goes into `packer`.

    A file is unchanged where its size and its time are those of `before`.

    Raises:
        RequestTooLarge: it holds more than `limit` bytes.
    """
    items: dict[str, Item] = {}
    total = 0
    for path, name, descriptor, found in _walk(directory, ignored):
        if stat.S_ISLNK(found.st_mode):
            try:
                target = os.readlink(name, dir_fd=descriptor)
            except OSError:
                # It is gone, or is no link any more.
                continue
            items[path] = Item(stat.S_IMODE(found.st_mode), found.st_mtime_ns, target=target)
        elif stat.S_ISDIR(found.st_mode):
            items[path] = Item(stat.S_IMODE(found.st_mode), found.st_mtime_ns)
        elif stat.S_ISREG(found.st_mode):
            total += found.st_size
            if total > limit:
                raise too_large(limit)
            item = _file(name, descriptor, before.items.get(path), packer, limit)
            if item is not None:
                items[path] = item
    return items


def too_large(limit: int) -> RequestTooLarge:
    """Why a directory is not kept."""
    shown = f"{limit / 2**20:,.0f} MB"
    return RequestTooLarge(
        f"The session's directory holds more than the {shown} that are kept, so what this turn changed in it was not: have "
        "files deleted, or list them in .pinnaceignore.",
        limit=limit,
    )


def unpack(source: BinaryIO, content: Content, target: BinaryIO) -> None:
    """Write a content out."""
    source.seek(content.offset)
    unpacker, left = zlib.decompressobj(), content.length
    while left and (piece := source.read(min(PIECE, left))):
        left -= len(piece)
        target.write(unpacker.decompress(piece))
    target.write(unpacker.flush())


def rebuild(directory: Path, manifest: Manifest, opened: Callable[[str], BinaryIO]) -> None:
    """Fill an empty directory; links come last, so that nothing is ever written through one."""
    for path, item in manifest.items.items():
        if item.target is None and item.content is None:
            (directory / path).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, item in manifest.items.items():
        if item.content is not None:
            place = directory / path
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with place.open("xb") as target:
                unpack(opened(item.content.pack), item.content, target)
            place.chmod(item.mode)
            os.utime(place, ns=(item.mtime, item.mtime))
    for path, item in manifest.items.items():
        if item.target is not None:
            (directory / path).symlink_to(item.target)
            os.utime(directory / path, ns=(item.mtime, item.mtime), follow_symlinks=False)
    # The deepest first: what is written into a directory changes its time, and its mode may forbid it.
    for path, item in sorted(manifest.items.items(), reverse=True):
        if item.target is None and item.content is None:
            (directory / path).chmod(item.mode)
            os.utime(directory / path, ns=(item.mtime, item.mtime))


def clear(directory: Path) -> None:
    """Empty a directory."""
    for entry in list(directory.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _walk(directory: Path, ignored: Callable[[str], bool]) -> Iterator[tuple[str, str, int, os.stat_result]]:
    for root, directories, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        inside = os.path.relpath(root, directory)
        prefix = "" if inside == "." else f"{inside}/"
        directories[:] = sorted(name for name in directories if not ignored(f"{prefix}{name}/"))
        for name in (*directories, *sorted(name for name in files if not ignored(f"{prefix}{name}"))):
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield f"{prefix}{name}", name, descriptor, found


def _file(name: str, descriptor: int, before: Item | None, packer: Packer, limit: int) -> Item | None:
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    except OSError:
        # It is gone, became a link, or may not be read even by who owns it.
        return None
    with os.fdopen(opened, "rb") as source:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            return None
        mode, content = stat.S_IMODE(found.st_mode), before.content if before else None
        if content is None or before is None or (before.mtime, content.size) != (found.st_mtime_ns, found.st_size):
            content = packer.add(source, limit)
        return Item(mode, found.st_mtime_ns, content)


def _fields(content: Content | None) -> list[Any] | None:
    return None if content is None else [content.pack, content.offset, content.length, content.size]
