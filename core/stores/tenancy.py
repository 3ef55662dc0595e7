"""Knows how settings become the stores of projects, money, limits, usage and kept answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pinnace.core.ports import AnswerStore, Directory, Ledger, Limiter, UsageStore
from pinnace.core.settings import Settings
from pinnace.core.stores.connections import dynamodb_table, nothing, redis_connection


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

        table = dynamodb_table(settings.aws)
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
            MemoryDirectory(), MemoryLedger(), MemoryLimiter(), MemoryUsageStore(), MemoryAnswerStore(), nothing
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
    connection = redis_connection(url, prefix)
    from pinnace.core.adapters.redis.answers import RedisAnswerStore
    from pinnace.core.adapters.redis.limiter import RedisLimiter

    async def close() -> None:
        await connection.aclose()
        await own.close()

    return replace(own, limiter=RedisLimiter(connection), answers=RedisAnswerStore(connection), close=close)
