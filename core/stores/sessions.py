"""Knows how settings become the stores of sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pinnace.core.errors import Misconfigured
from pinnace.core.ports import Clock, Sessions, Transcripts, Workspaces
from pinnace.core.sections import AwsSettings
from pinnace.core.settings import Settings
from pinnace.core.stores.connections import dynamodb_table, nothing, redis_connection, s3_bucket

#: What the names of sessions' files begin with, within a bucket.
SESSIONS = "sessions"


@dataclass(frozen=True, slots=True)
class SessionStores:
    """Where sessions are kept: what is known of them, what was said, and their files."""

    sessions: Sessions
    transcripts: Transcripts
    workspaces: Workspaces
    close: Callable[[], Awaitable[None]]


def open_sessions(settings: Settings, clock: Clock) -> SessionStores:
    """Make the stores of sessions; nothing is opened before it is used.

    Raises:
        Misconfigured: as `open_stores`.
    """
    own = _open_own_sessions(settings, clock)
    if settings.sessions.transcripts == "store":
        return own
    if settings.redis.url is None:
        raise Misconfigured("must be set where sessions.transcripts is redis", key="redis.url")
    connection = redis_connection(settings.redis.url.get_secret_value(), settings.redis.prefix)
    from pinnace.core.adapters.redis.transcripts import RedisTranscripts

    async def close() -> None:
        await connection.aclose()
        await own.close()

    return replace(own, transcripts=RedisTranscripts(connection, clock), close=close)


def _open_own_sessions(settings: Settings, clock: Clock) -> SessionStores:
    from pinnace.core.adapters.local.workspaces import PackedWorkspaces

    chosen = settings.sessions
    kept: dict[str, Any] = {"ignore": chosen.ignore, "limit": chosen.max_workspace_mb * 2**20}
    if settings.store == "dynamodb":
        return _open_aws_sessions(settings.aws, clock, kept)
    if settings.store == "memory":
        from pinnace.core.adapters.memory.blobs import MemoryBlobs
        from pinnace.core.adapters.memory.sessions import MemorySessions
        from pinnace.core.adapters.memory.transcripts import MemoryTranscripts

        workspaces = PackedWorkspaces(MemoryBlobs(), **kept)
        return SessionStores(MemorySessions(), MemoryTranscripts(clock), workspaces, nothing)
    from pinnace.core.adapters.local.blobs import LocalBlobs
    from pinnace.core.adapters.sqlite.database import Database
    from pinnace.core.adapters.sqlite.session_tables import SESSION_TABLES
    from pinnace.core.adapters.sqlite.sessions import SqliteSessions
    from pinnace.core.adapters.sqlite.transcripts import SqliteTranscripts

    file = Database(settings.data_dir / "sessions.sqlite3", SESSION_TABLES)
    workspaces = PackedWorkspaces(LocalBlobs(settings.data_dir / SESSIONS), **kept)
    return SessionStores(SqliteSessions(file), SqliteTranscripts(file, clock), workspaces, file.aclose)


def _open_aws_sessions(aws: AwsSettings, clock: Clock, kept: dict[str, Any]) -> SessionStores:
    from pinnace.core.adapters.dynamodb.sessions import DynamoSessions
    from pinnace.core.adapters.dynamodb.transcripts import DynamoTranscripts
    from pinnace.core.adapters.local.workspaces import PackedWorkspaces
    from pinnace.core.adapters.s3.blobs import S3Blobs

    table = dynamodb_table(aws)
    bucket = s3_bucket(aws)
    blobs = S3Blobs(bucket, SESSIONS)

    async def close() -> None:
        await bucket.aclose()
        await table.aclose()

    return SessionStores(
        DynamoSessions(table), DynamoTranscripts(table, clock, blobs), PackedWorkspaces(blobs, **kept), close
    )
