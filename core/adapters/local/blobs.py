"""Knows how files are kept in a directory of this machine; see `pinnace.core.ports.Blobs` for what it promises."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pinnace.core.adapters.blob_names import PIECE, checked
from pinnace.core.errors import StoreFailed
from pinnace.core.ports import BlobEntry

T = TypeVar("T")


class LocalBlobs:
    """`Blobs` under a directory; what is being written lies in a directory of its own until it is whole."""

    def __init__(self, root: Path) -> None:
        self._root, self._unfinished = root, root / ".unfinished"

    async def put(self, name: str, source: Path) -> None:
        await _in_thread(lambda: self._put(name, source))

    async def take(self, name: str, source: Path) -> None:
        await _in_thread(lambda: self._take(name, source))

    async def get(self, name: str, target: Path) -> bool:
        def work() -> bool:
            try:
                shutil.copyfile(self._place(name), target)
            except FileNotFoundError:
                return False
            return True

        return await _in_thread(work)

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        try:
            file = await asyncio.to_thread(self._place(name).open, "rb")
        except FileNotFoundError:
            raise StoreFailed("A file that the server kept is not there any more.") from None
        with file:
            await _in_thread(lambda: file.seek(start))
            left = length
            while left is None or left > 0:
                size = PIECE if left is None else min(PIECE, left)
                piece = await _in_thread(partial(file.read, size))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece

    async def copy(self, source: str, target: str) -> None:
        await _in_thread(lambda: self._put(target, self._place(source)))

    async def move(self, source: str, target: str) -> bool:
        def work() -> bool:
            try:
                _settle(self._place(source), self._place(target))
            except FileNotFoundError:
                return False
            return True

        return await _in_thread(work)

    async def listed(self, prefix: str, limit: int) -> Sequence[BlobEntry]:
        def work() -> list[BlobEntry]:
            return list(islice(_entries(self._place(prefix), f"{prefix}/"), limit))

        return await _in_thread(work)

    async def delete(self, name: str) -> None:
        await _in_thread(lambda: self._place(name).unlink(missing_ok=True))

    async def delete_all(self, prefix: str) -> None:
        def work() -> None:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._place(prefix))
            for parent in self._place(prefix).parents:
                if parent == self._root:
                    return
                with contextlib.suppress(OSError):
                    parent.rmdir()

        await _in_thread(work)

    def _place(self, name: str) -> Path:
        return self._root / checked(name)

    def _put(self, name: str, source: Path) -> None:
        place, part = self._place(name), self._unfinished / secrets.token_hex(8)
        try:
            # The root alone decides who may look: what `parents` makes has the system's own mode.
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(source, part)
            _settle(part, place)
        finally:
            part.unlink(missing_ok=True)

    def _take(self, name: str, source: Path) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _settle(source, self._place(name))
        except OSError as error:
            # It lies on another disk.
            if error.errno != errno.EXDEV:
                raise
            self._put(name, source)


def _entries(directory: Path, prefix: str) -> Iterator[BlobEntry]:
    """The files below a directory; what begins with a dot is nobody's but its writer's, and a link may lead anywhere."""
    try:
        found = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            known = entry.stat(follow_symlinks=False)
            yield BlobEntry(f"{prefix}{entry.name}", known.st_size, known.st_mtime)


def _settle(part: Path, place: Path) -> None:
    """Give a whole file its name."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    for last in (False, False, True):
        try:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.replace(place)
        except FileNotFoundError:
            # `delete_all` of a neighbour has just dropped the directory, which was empty.
            if last:
                raise
        else:
            return


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise StoreFailed("The server's store of files cannot be used at the moment.") from error
