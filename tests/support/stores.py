"""Knows how to open each kind of store, for the contract suite and for the processes that it starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.memory.usage import MemoryUsageStore
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.directory import SqliteDirectory
from pinnace.core.adapters.sqlite.ledger import SqliteLedger
from pinnace.core.adapters.sqlite.limiter import SqliteLimiter
from pinnace.core.adapters.sqlite.usage import SqliteUsageStore
from pinnace.core.ports import Directory, Ledger, Limiter, UsageStore


@dataclass(frozen=True)
class Stores:
    directory: Directory
    ledger: Ledger
    limiter: Limiter
    usage: UsageStore
    close: Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return None


def in_memory(_place: Path) -> Stores:
    return Stores(MemoryDirectory(), MemoryLedger(), MemoryLimiter(), MemoryUsageStore(), _nothing)


def in_sqlite(place: Path) -> Stores:
    database = Database(place / "pinnace.sqlite3")
    return Stores(
        SqliteDirectory(database),
        SqliteLedger(database),
        SqliteLimiter(database),
        SqliteUsageStore(database),
        database.aclose,
    )


KINDS: dict[str, Callable[[Path], Stores]] = {"memory": in_memory, "sqlite": in_sqlite}
#: The kinds that several processes may share.
SHARED = ["sqlite"]
