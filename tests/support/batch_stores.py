"""Knows how to open each kind of store of batches and queue of their items, and how time passes there, for the contract suite."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clocks import HandClock
from stores import dynamodb_table, sqs_queue

from pinnace.core.adapters.dynamodb.batches import DynamoBatches
from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.memory.batches import MemoryBatches
from pinnace.core.adapters.memory.work_queue import MemoryWorkQueue
from pinnace.core.adapters.sqlite.batch_tables import BATCH_TABLES
from pinnace.core.adapters.sqlite.batches import SqliteBatches
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.work_queue import SqliteWorkQueue
from pinnace.core.adapters.sqs.work_queue import SqsWorkQueue
from pinnace.core.model.batches import BatchItem, Task
from pinnace.core.ports import Batches, WorkQueue


class Time(Protocol):
    """The time of a queue, in seconds, and how it passes."""

    def now(self) -> float: ...

    async def wait(self, seconds: float) -> None: ...


class HandTime(HandClock):
    """For a queue that goes by its caller's clock."""

    async def wait(self, seconds: float) -> None:
        self.time += seconds


class RealTime:
    """For a queue that has a clock of its own."""

    def now(self) -> float:
        return time.time()

    async def wait(self, seconds: float) -> None:
        # Clocks are read before and after a request.
        await asyncio.sleep(seconds + 0.05)


@dataclass(frozen=True)
class OpenedBatches:
    batches: Batches
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class OpenedQueue:
    queue: WorkQueue
    time: Time
    close: Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return None


def in_memory(_place: Path) -> OpenedBatches:
    return OpenedBatches(MemoryBatches(), _nothing)


def in_sqlite(place: Path) -> OpenedBatches:
    database = Database(place / "batches.sqlite3", BATCH_TABLES)
    return OpenedBatches(SqliteBatches(database), database.aclose)


def in_dynamodb(place: Path) -> OpenedBatches:
    """What is too large for an item lies in a directory, which is told by the same suite to do what S3 does."""
    table = dynamodb_table(place)
    return OpenedBatches(DynamoBatches(table, LocalBlobs(place / "blobs")), table.aclose)


def queue_in_memory(_place: Path) -> OpenedQueue:
    return OpenedQueue(MemoryWorkQueue(), HandTime(), _nothing)


def queue_in_sqlite(place: Path) -> OpenedQueue:
    database = Database(place / "batches.sqlite3", BATCH_TABLES)
    return OpenedQueue(SqliteWorkQueue(database), HandTime(), database.aclose)


def queue_in_sqs(place: Path) -> OpenedQueue:
    queue, dead_letters = sqs_queue(place), sqs_queue(place, "dead")

    async def close() -> None:
        await queue.aclose()
        await dead_letters.aclose()

    return OpenedQueue(SqsWorkQueue(queue, dead_letters), RealTime(), close)


KINDS: dict[str, Callable[[Path], OpenedBatches]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "dynamodb": in_dynamodb,
}
#: Queues of one machine, which know an order and what waits of a batch.
EMBEDDED: dict[str, Callable[[Path], OpenedQueue]] = {"memory": queue_in_memory, "sqlite": queue_in_sqlite}
QUEUES: dict[str, Callable[[Path], OpenedQueue]] = EMBEDDED | {"sqs": queue_in_sqs}


def tasks(count: int, batch_id: str = "b", project_id: str = "p") -> list[Task]:
    """The first so many tasks of a batch."""
    return [
        Task(project_id, batch_id, BatchItem(number, f"{batch_id}-{number}", number, number + 1))
        for number in range(count)
    ]
