"""Knows how settings become stores; adapters are imported here, and only when they are asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pinnace.core.errors import Misconfigured
from pinnace.core.model.access_log import LogRows
from pinnace.core.ports import (
    AccessLog,
    AnswerStore,
    Clock,
    Directory,
    Ledger,
    Limiter,
    Sessions,
    Transcripts,
    UsageStore,
    Workspaces,
)
from pinnace.core.settings import Settings

#: The directory of the log of requests, within `data_dir`.
ACCESS_LOG = "access"


@dataclass(frozen=True, slots=True)
class Stores:
    """Where everything is kept that must outlive a request."""

    directory: Directory
    ledger: Ledger
    limiter: Limiter
    usage: UsageStore
    answers: AnswerStore
    close: Callable[[], Awaitable[None]]


def open_stores(settings: Settings) -> Stores:
    """Make the stores; nothing is opened before it is used.

    Raises:
        Misconfigured: Redis is asked for, and its package is not installed or its address is none.
    """
    own, url = _open_own(settings), settings.redis.url
    return own if url is None else _share(own, url.get_secret_value(), settings.redis.prefix)


def _open_own(settings: Settings) -> Stores:
    """What is kept for this server alone, or for all that share its directory."""
    if settings.store == "memory":
        from pinnace.core.adapters.memory.answers import MemoryAnswerStore  # noqa: PLC0415 - only what is asked for
        from pinnace.core.adapters.memory.directory import MemoryDirectory  # noqa: PLC0415
        from pinnace.core.adapters.memory.ledger import MemoryLedger  # noqa: PLC0415
        from pinnace.core.adapters.memory.limiter import MemoryLimiter  # noqa: PLC0415
        from pinnace.core.adapters.memory.usage import MemoryUsageStore  # noqa: PLC0415

        return Stores(
            MemoryDirectory(), MemoryLedger(), MemoryLimiter(), MemoryUsageStore(), MemoryAnswerStore(), _nothing
        )
    from pinnace.core.adapters.sqlite.answers import SqliteAnswerStore  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.database import Database  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.directory import SqliteDirectory  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.ledger import SqliteLedger  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.limiter import SqliteLimiter  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.usage import SqliteUsageStore  # noqa: PLC0415

    file = Database(settings.data_dir / "pinnace.sqlite3")
    return Stores(
        SqliteDirectory(file),
        SqliteLedger(file),
        SqliteLimiter(file),
        SqliteUsageStore(file),
        SqliteAnswerStore(file),
        file.aclose,
    )


def _share(own: Stores, url: str, prefix: str) -> Stores:
    """Keep in Redis what it keeps for several servers, and the rest where it was."""
    try:
        from pinnace.core.adapters.redis.answers import RedisAnswerStore  # noqa: PLC0415
        from pinnace.core.adapters.redis.connection import Connection  # noqa: PLC0415
        from pinnace.core.adapters.redis.limiter import RedisLimiter  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise Misconfigured(
            "needs the package redis, which is not installed; pip install 'pinnace[redis]' brings it", key="redis.url"
        ) from error
    connection = Connection(url, prefix)

    async def close() -> None:
        await connection.aclose()
        await own.close()

    return replace(own, limiter=RedisLimiter(connection), answers=RedisAnswerStore(connection), close=close)


@dataclass(frozen=True, slots=True)
class SessionStores:
    """Where sessions are kept: what is known of them, what was said, and their files."""

    sessions: Sessions
    transcripts: Transcripts
    workspaces: Workspaces
    close: Callable[[], Awaitable[None]]


def open_sessions(settings: Settings, clock: Clock) -> SessionStores:
    """Make the stores of sessions; nothing is opened before it is used."""
    from pinnace.core.adapters.local.workspaces import PackedWorkspaces  # noqa: PLC0415 - only what is asked for

    chosen = settings.sessions
    kept: dict[str, Any] = {"ignore": chosen.ignore, "limit": chosen.max_workspace_mb * 2**20}
    if settings.store == "memory":
        from pinnace.core.adapters.memory.blobs import MemoryBlobs  # noqa: PLC0415
        from pinnace.core.adapters.memory.sessions import MemorySessions  # noqa: PLC0415
        from pinnace.core.adapters.memory.transcripts import MemoryTranscripts  # noqa: PLC0415

        workspaces = PackedWorkspaces(MemoryBlobs(), **kept)
        return SessionStores(MemorySessions(), MemoryTranscripts(clock), workspaces, _nothing)
    from pinnace.core.adapters.local.blobs import LocalBlobs  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.database import Database  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.session_tables import SESSION_TABLES  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.sessions import SqliteSessions  # noqa: PLC0415
    from pinnace.core.adapters.sqlite.transcripts import SqliteTranscripts  # noqa: PLC0415

    file = Database(settings.data_dir / "sessions.sqlite3", SESSION_TABLES)
    workspaces = PackedWorkspaces(LocalBlobs(settings.data_dir / "sessions"), **kept)
    return SessionStores(SqliteSessions(file), SqliteTranscripts(file, clock), workspaces, file.aclose)


def open_access_log(settings: Settings, clock: Clock) -> AccessLog:
    """Make the log of requests; nothing is opened before the first of them."""
    from pinnace.core.adapters.memory.access_log import MemoryAccessLog, NoAccessLog  # noqa: PLC0415 - as above

    if not settings.access_log.enabled:
        return NoAccessLog()
    if settings.store == "memory":
        return MemoryAccessLog()
    from pinnace.core.adapters.duckdb.access_log import DuckAccessLog  # noqa: PLC0415

    return DuckAccessLog(settings.data_dir / ACCESS_LOG, clock, settings.access_log.days)


def query_access_log(settings: Settings, statement: str) -> LogRows:
    """Run one `SELECT` over the log of requests that lies in `data_dir`.

    Raises:
        InvalidRequest: it is none, or it is wrong.
        PartMissing: DuckDB is not installed.
    """
    from pinnace.core.adapters.duckdb.reader import query  # noqa: PLC0415 - as above

    return query(settings.data_dir / ACCESS_LOG, statement)


async def _nothing() -> None:
    """There is nothing to close."""
