"""Knows a book of files over stores in memory, and a process that dies in the middle of its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clocks import HandClock

from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.memory.files import MemoryFiles
from pinnace.core.model.files import FileRules, StoredFile
from pinnace.core.usecases.filing import FileBook


class Killed(BaseException):
    """The process is gone: nothing after it happens."""


@dataclass
class Fate:
    """Lets so many steps happen, and dies before the next one, or right after it where `after` is set."""

    steps: int = 10**6
    after: bool = False
    dead: bool = False
    taken: list[str] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    def before(self, step: str) -> None:
        if self.dead or (self.steps == 0 and not self.after):
            self.dead = True
            raise Killed
        self.taken.append(step)
        self.began.set()

    def done(self) -> None:
        if self.steps == 0:
            self.dead = True
            raise Killed
        self.steps -= 1


class MortalFiles(MemoryFiles):
    """Records that outlive the process that writes them."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self.fate = fate

    async def begin(self, upload: StoredFile, quota: int) -> None:
        self.fate.before("begin")
        await super().begin(upload, quota)
        self.fate.done()

    async def complete(self, file: StoredFile) -> bool:
        self.fate.before("complete")
        done = await super().complete(file)
        self.fate.done()
        return done

    async def withdraw(self, file: StoredFile) -> bool:
        self.fate.before("withdraw")
        done = await super().withdraw(file)
        self.fate.done()
        return done

    async def remove(self, file: StoredFile) -> bool:
        self.fate.before("remove")
        done = await super().remove(file)
        self.fate.done()
        return done


class MortalBlobs(MemoryBlobs):
    """Bytes that outlive the process that writes them."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self.fate = fate

    @property
    def names(self) -> Sequence[str]:
        return list(self._kept)

    async def take(self, name: str, source: Path) -> None:
        self.fate.before("take")
        await super().take(name, source)
        self.fate.done()

    async def delete_all(self, prefix: str) -> None:
        self.fate.before("delete")
        await super().delete_all(prefix)
        self.fate.done()


@dataclass
class Shelf:
    """A book, its stores, its clock and its fate."""

    files: MortalFiles
    blobs: MortalBlobs
    clock: HandClock
    book: FileBook

    def revive(self) -> None:
        """Another process goes on with what the dead one left."""
        self.files.fate = self.blobs.fate = Fate()

    async def upload(self, data: bytes, name: str | None = "a.txt", project_id: str = "p") -> StoredFile:
        async with self.book.receiving(project_id, len(data)) as arrival:
            for start in range(0, len(data), 1000):
                await arrival.write(data[start : start + 1000])
            return await self.book.add(project_id, arrival, name, None, None)


def shelf(place: Path, fate: Fate | None = None, **rules: Any) -> Shelf:
    fate = fate or Fate()
    files, blobs, clock = MortalFiles(fate), MortalBlobs(fate), HandClock(1_000_000.0)
    given = replace(FileRules(max_bytes=10_000, quota=20_000), **rules)
    return Shelf(files, blobs, clock, FileBook(files, blobs, clock, place / "arriving", given))


async def bytes_of(reading: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([piece async for piece in reading])
