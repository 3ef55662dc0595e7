"""Knows how files are kept in memory; see `pinnace.core.ports.Blobs` for what it promises."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path


class MemoryBlobs:
    """`Blobs` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}

    async def put(self, name: str, source: Path) -> None:
        data = await asyncio.to_thread(source.read_bytes)
        with self._lock:
            self._kept[name] = data

    async def get(self, name: str, target: Path) -> bool:
        with self._lock:
            data = self._kept.get(name)
        if data is not None:
            await asyncio.to_thread(target.write_bytes, data)
        return data is not None

    async def copy(self, source: str, target: str) -> None:
        with self._lock:
            self._kept[target] = self._kept[source]

    async def delete(self, name: str) -> None:
        with self._lock:
            self._kept.pop(name, None)

    async def delete_all(self, prefix: str) -> None:
        with self._lock:
            for name in [name for name in self._kept if name.startswith(f"{prefix}/")]:
                del self._kept[name]
