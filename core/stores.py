"""Knows how settings become stores; adapters are imported here, and only when they are asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

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
from pinnace.core.sections import AwsSettings
from pinnace.core.settings import Settings

if TYPE_CHECKING:
    from pinnace.core.adapters.dynamodb.table import Table
    from pinnace.core.adapters.redis.connection import Connection

#: The directory of the log of requests, within `data_dir`.
ACCESS_LOG = "access"
#: What the names of sessions' files begin with, within a bucket.
SESSIONS = "sessions"


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
        Misconfigured: Redis or AWS is asked for, and its package is not installed, or what it needs is not set or is none.
    """
    own, url = _open_own(settings), settings.redis.url
    return own if url is None else _share(own, url.get_secret_value(), settings.redis.prefix)


def _open_own(settings: Settings) -> Stores:
    """What is kept for this server alone, for all that share its directory, or for all that share a table."""
    if settings.store == "dynamodb":
        from pinnace.core.adapters.dynamodb.answers import DynamoAnswerStore
        from pinnace.core.adapters.dynamodb.directory import DynamoDirectory
        from pinnace.core.adapters.dynamodb.ledger import DynamoLedger
        from pinnace.core.adapters.dynamodb.limiter import DynamoLimiter
        from pinnace.core.adapters.dynamodb.usage import DynamoUsageStore

        table = _table(settings.aws)
        return Stores(
            DynamoDirectory(table),
            DynamoLedger(table),
            DynamoLimiter(table),
            DynamoUsageStore(table),
            DynamoAnswerStore(table),
            table.aclose,
        )
    if settings.store == "memory":
        from pinnace.core.adapters.memory.answers import MemoryAnswerStore
        from pinnace.core.adapters.memory.directory import MemoryDirectory
        from pinnace.core.adapters.memory.ledger import MemoryLedger
        from pinnace.core.adapters.memory.limiter import MemoryLimiter
        from pinnace.core.adapters.memory.usage import MemoryUsageStore

        return Stores(
            MemoryDirectory(), MemoryLedger(), MemoryLimiter(), MemoryUsageStore(), MemoryAnswerStore(), _nothing
        )
    from pinnace.core.adapters.sqlite.answers import SqliteAnswerStore
    from pinnace.core.adapters.sqlite.database import Database
    from pinnace.core.adapters.sqlite.directory import SqliteDirectory
    from pinnace.core.adapters.sqlite.ledger import SqliteLedger
    from pinnace.core.adapters.sqlite.limiter import SqliteLimiter
    from pinnace.core.adapters.sqlite.usage import SqliteUsageStore

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
    connection = _connection(url, prefix)
    from pinnace.core.adapters.redis.answers import RedisAnswerStore
    from pinnace.core.adapters.redis.limiter import RedisLimiter

    async def close() -> None:
        await connection.aclose()
        await own.close()

    return replace(own, limiter=RedisLimiter(connection), answers=RedisAnswerStore(connection), close=close)


def _connection(url: str, prefix: str) -> Connection:
    try:
        from pinnace.core.adapters.redis.connection import Connection
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise Misconfigured(
            "needs the package redis, which is not installed; pip install 'pinnace[redis]' brings it", key="redis.url"
        ) from error
    return Connection(url, prefix)


def _table(aws: AwsSettings) -> Table:
    from pinnace.core.adapters.dynamodb.table import Table, client_of

    # The adapters import it where it is first needed, since it takes long: too late to say so.
    if find_spec("boto3") is None:
        message = "needs the package boto3, which is not installed; pip install 'pinnace[aws]' brings it"
        raise Misconfigured(message, key="store")
    if aws.table is None or aws.bucket is None:
        missing = "table" if aws.table is None else "bucket"
        raise Misconfigured("must be set where store is dynamodb", key=f"aws.{missing}")
    return Table(aws.table, partial(client_of, aws.region, aws.endpoint_url))


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
    connection = _connection(settings.redis.url.get_secret_value(), settings.redis.prefix)
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
        return SessionStores(MemorySessions(), MemoryTranscripts(clock), workspaces, _nothing)
    from pinnace.core.adapters.local.blobs import LocalBlobs
    from pinnace.core.adapters.sqlite.database import Database
    from pinnace.core.adapters.sqlite.session_tables import SESSION_TABLES
    from pinnace.core.adapters.sqlite.sessions import SqliteSessions
    from pinnace.core.adapters.sqlite.transcripts import SqliteTranscripts

    file = Database(settings.data_dir / "sessions.sqlite3", SESSION_TABLES)
    workspaces = PackedWorkspaces(LocalBlobs(settings.data_dir / "sessions"), **kept)
    return SessionStores(SqliteSessions(file), SqliteTranscripts(file, clock), workspaces, file.aclose)


def _open_aws_sessions(aws: AwsSettings, clock: Clock, kept: dict[str, Any]) -> SessionStores:
    from pinnace.core.adapters.dynamodb.sessions import DynamoSessions
    from pinnace.core.adapters.dynamodb.transcripts import DynamoTranscripts
    from pinnace.core.adapters.local.workspaces import PackedWorkspaces
    from pinnace.core.adapters.s3.blobs import S3Blobs
    from pinnace.core.adapters.s3.bucket import Bucket, client_of

    table = _table(aws)
    bucket = Bucket(aws.bucket or "", partial(client_of, aws.region, aws.endpoint_url))
    blobs = S3Blobs(bucket, SESSIONS)

    async def close() -> None:
        await bucket.aclose()
        await table.aclose()

    return SessionStores(
        DynamoSessions(table), DynamoTranscripts(table, clock, blobs), PackedWorkspaces(blobs, **kept), close
    )


def open_access_log(settings: Settings, clock: Clock) -> AccessLog:
    """Make the log of requests; nothing is opened before the first of them."""
    from pinnace.core.adapters.memory.access_log import MemoryAccessLog, NoAccessLog

    if not settings.access_log.enabled:
        return NoAccessLog()
    if settings.store == "memory":
        return MemoryAccessLog()
    from pinnace.core.adapters.duckdb.access_log import DuckAccessLog

    return DuckAccessLog(settings.data_dir / ACCESS_LOG, clock, settings.access_log.days)


def query_access_log(settings: Settings, statement: str) -> LogRows:
    """Run one `SELECT` over the log of requests that lies in `data_dir`.

    Raises:
        InvalidRequest: it is none, or it is wrong.
        PartMissing: DuckDB is not installed.
    """
    from pinnace.core.adapters.duckdb.reader import query

    return query(settings.data_dir / ACCESS_LOG, statement)


async def _nothing() -> None:
    """There is nothing to close."""
