"""Knows how to open each kind of store of sessions and transcripts, for the contract suite and the processes that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stores import dynamodb_table, redis_connection

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.dynamodb.sessions import DynamoSessions
from pinnace.core.adapters.dynamodb.transcripts import DynamoTranscripts
from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.memory.sessions import MemorySessions
from pinnace.core.adapters.memory.transcripts import MemoryTranscripts
from pinnace.core.adapters.redis.transcripts import RedisTranscripts
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


def in_dynamodb(place: Path) -> SessionStores:
    """What is too large for an item lies in a directory, which is told by the same suite to do what S3 does."""
    table = dynamodb_table(place)
    transcripts = DynamoTranscripts(table, SystemClock(), LocalBlobs(place / "blobs"))
    return SessionStores(DynamoSessions(table), transcripts, table.aclose)


def in_redis(place: Path) -> SessionStores:
    """As it is served: Redis keeps what was said, and SQLite the rest."""
    connection, rest = redis_connection(place), in_sqlite(place)

    async def close() -> None:
        await connection.aclose()
        await rest.close()

    return replace(rest, transcripts=RedisTranscripts(connection, SystemClock()), close=close)


KINDS: dict[str, Callable[[Path], SessionStores]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "dynamodb": in_dynamodb,
    "redis": in_redis,
}
#: The kinds that several processes may share.
SHARED = ["sqlite", "dynamodb", "redis"]


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
