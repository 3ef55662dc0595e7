"""Knows how to open each kind of store of sessions and transcripts, for the contract suite and the processes that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.memory.sessions import MemorySessions
from pinnace.core.adapters.memory.transcripts import MemoryTranscripts
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.session_tables import SESSION_TABLES
from pinnace.core.adapters.sqlite.sessions import SqliteSessions
from pinnace.core.adapters.sqlite.transcripts import SqliteTranscripts
from pinnace.core.errors import Conflicted
from pinnace.core.ports import Sessions, Transcripts


@dataclass(frozen=True)
class SessionStores:
    sessions: Sessions
    transcripts: Transcripts
    close: Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return None


def in_memory(_place: Path) -> SessionStores:
    return SessionStores(MemorySessions(), MemoryTranscripts(SystemClock()), _nothing)


def in_sqlite(place: Path) -> SessionStores:
    database = Database(place / "sessions.sqlite3", SESSION_TABLES)
    return SessionStores(SqliteSessions(database), SqliteTranscripts(database, SystemClock()), database.aclose)


KINDS: dict[str, Callable[[Path], SessionStores]] = {"memory": in_memory, "sqlite": in_sqlite}
#: The kinds that several processes may share.
SHARED = ["sqlite"]


def take_turns(kind: str, place: Path, turns: int) -> int:
    """Hold the session and count one more, so often; the number of times that somebody else held it."""

    async def work() -> int:
        kept, refused = KINDS[kind](place), 0
        for _ in range(turns):
            while True:
                try:
                    held = await kept.sessions.acquire("p", "chat", 1.0, 2.0)
                except Conflicted:
                    refused += 1
                    await asyncio.sleep(0.001)
                    continue
                assert held is not None
                assert await kept.sessions.save(replace(held, turns=held.turns + 1).released())
                break
        await kept.close()
        return refused

    return asyncio.run(work())
