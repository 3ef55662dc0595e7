"""Knows how files are kept in memory; see `pinnace.core.ports.Blobs` for what it promises."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from pinnace.core.adapters.blob_names import PIECE
from pinnace.core.errors import StoreFailed
from pinnace.core.ports import BlobEntry


class MemoryBlobs:
    """`Blobs` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}

    async def put(self, name: str, source: Path) -> None:
        data = await asyncio.to_thread(source.read_bytes)
        with self._lock:
            self._kept[name] = data

    async def take(self, name: str, source: Path) -> None:
        await self.put(name, source)

    async def get(self, name: str, target: Path) -> bool:
        with self._lock:
            data = self._kept.get(name)
        if data is not None:
            await asyncio.to_thread(target.write_bytes, data)
        return data is not None

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        with self._lock:
            data = self._kept.get(name)
        if data is None:
            raise StoreFailed("A file that the server kept is not there any more.")
        whole = memoryview(data)[start : None if length is None else start + length]
        for at in range(0, len(whole), PIECE):
            yield bytes(whole[at : at + PIECE])

    async def copy(self, source: str, target: str) -> None:
        with self._lock:
            self._kept[target] = self._kept[source]

    async def move(self, source: str, target: str) -> bool:
        with self._lock:
            data = self._kept.pop(source, None)
            if data is not None:
                self._kept[target] = data
            return data is not None

    async def listed(self, prefix: str, limit: int) -> Sequence[BlobEntry]:
        with self._lock:
            names = sorted(name for name in self._kept if name.startswith(f"{prefix}/"))
            return [BlobEntry(name, len(self._kept[name]), 0.0) for name in names[:limit]]

    async def delete(self, name: str) -> None:
        with self._lock:
            self._kept.pop(name, None)

    async def delete_all(self, prefix: str) -> None:
        with self._lock:
            for name in [name for name in self._kept if name.startswith(f"{prefix}/")]:
                del self._kept[name]
