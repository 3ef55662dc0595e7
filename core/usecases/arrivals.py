"""Knows how a file's bytes are received: to the disk, counted, hashed and looked at as they come; it must not know from whom."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pinnace.core.errors import RequestTooLarge, StoreFailed
from pinnace.core.usecases.media_types import HEAD

#: Bytes that are gathered before a thread hashes and writes them: each hand-over costs as much as hashing 50 KB.
GATHERED = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Arrival:
    """A file that is being received at `place`; `room` is told its bytes as they come, and may refuse more."""

    def __init__(self, place: Path, limit: int, room: Callable[[int], None]) -> None:
        self.place, self.size, self.head = place, 0, b""
        self._limit, self._room = limit, room
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._gathered = 0
        # A caller that is cancelled leaves a thread behind that still writes.
        self._writing = threading.Lock()
        self._file: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def write(self, data: bytes) -> None:
        """Take some more of the file.

        Raises:
            RequestTooLarge: it is larger than a file may be.
            StorageExceeded: the project has no room for it.
            StoreFailed: the disk has none.
        """
        self.size += len(data)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._room(len(data))
        if len(self.head) < HEAD:
            self.head = (self.head + data)[:HEAD]
        self._waiting.append(data)
        self._gathered += len(data)
        if self._gathered >= GATHERED:
            await self._flush()

    async def end(self) -> None:
        """All of it was taken.

        Raises:
            StoreFailed: the disk has no room.
        """
        await self._flush()
        await asyncio.to_thread(self._close)

    async def discard(self) -> None:
        """Leave nothing of it; what was kept elsewhere by then stays."""
        await asyncio.to_thread(self._discard)

    async def _flush(self) -> None:
        data, self._waiting, self._gathered = self._waiting, [], 0
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFailed(
                    "The server has no room left for this file, and kept nothing of it. Try again later, or tell who runs it."
                ) from error
            raise StoreFailed("The server cannot write files at the moment.") from error

    def _write(self, data: list[bytes]) -> None:
        with self._writing:
            if self._file is None:
                self.place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = os.fdopen(
                    os.open(self.place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0
                )
            for piece in data:
                self._digest.update(piece)
                left = memoryview(piece)
                while left:
                    left = left[self._file.write(left) :]

    def _close(self) -> None:
        with self._writing:
            if self._file is not None:
                self._file.close()

    def _discard(self) -> None:
        self._close()
        self.place.unlink(missing_ok=True)


def too_large(limit: int) -> RequestTooLarge:
    """Why a file is not kept."""
    return RequestTooLarge(
        f"The file is larger than the {limit:,} bytes that a file may have (files.max_bytes).", limit=limit
    )
