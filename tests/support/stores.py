"""Knows how to open each kind of store, for the contract suite and for the processes that it starts."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from moto_server import moto_server
from redis_server import shared_server

from pinnace.core.adapters.dynamodb.answers import DynamoAnswerStore
from pinnace.core.adapters.dynamodb.directory import DynamoDirectory
from pinnace.core.adapters.dynamodb.ledger import DynamoLedger
from pinnace.core.adapters.dynamodb.limiter import DynamoLimiter
from pinnace.core.adapters.dynamodb.table import Table, client_of, create_table
from pinnace.core.adapters.dynamodb.usage import DynamoUsageStore
from pinnace.core.adapters.memory.answers import MemoryAnswerStore
from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.memory.usage import MemoryUsageStore
from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.adapters.s3.bucket import Bucket
from pinnace.core.adapters.s3.bucket import client_of as s3_client_of
from pinnace.core.adapters.sqlite.answers import SqliteAnswerStore
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.directory import SqliteDirectory
from pinnace.core.adapters.sqlite.ledger import SqliteLedger
from pinnace.core.adapters.sqlite.limiter import SqliteLimiter
from pinnace.core.adapters.sqlite.usage import SqliteUsageStore
from pinnace.core.adapters.sqs.queue import Queue
from pinnace.core.adapters.sqs.queue import client_of as sqs_client_of
from pinnace.core.stores.connections import nothing
from pinnace.core.stores.tenancy import Stores

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient


def in_memory(_place: Path) -> Stores:
    return Stores(MemoryDirectory(), MemoryLedger(), MemoryLimiter(), MemoryUsageStore(), MemoryAnswerStore(), nothing)


def in_sqlite(place: Path) -> Stores:
    database = Database(place / "pinnace.sqlite3")
    return Stores(
        SqliteDirectory(database),
        SqliteLedger(database),
        SqliteLimiter(database),
        SqliteUsageStore(database),
        SqliteAnswerStore(database),
        database.aclose,
    )


@cache
def _connect(endpoint: str) -> DynamoDBClient:
    """Make one client for all tests, since that takes longer than most of them; one that was closed opens itself again."""
    return client_of("eu-central-1", endpoint, "test", "test")


def _name(place: Path) -> str:
    return sha256(str(place).encode()).hexdigest()


@cache
def _moto() -> str:
    """Start it where it is first needed; it runs as long as the process."""
    running = ExitStack()
    atexit.register(running.close)
    return running.enter_context(moto_server())


def make_dynamodb_table(place: Path, endpoint: str) -> None:
    """Make the table of a place in an emulator, and tell the place so."""
    create_table(_connect(endpoint), _name(place))
    (place / "dynamodb").write_text(endpoint)


def dynamodb_table(
    place: Path,
    observe: Callable[[str], None] = lambda _operation: None,
    through: Callable[[DynamoDBClient], DynamoDBClient] = lambda client: client,
) -> Table:
    """Reach the table of a place, through a client that may do more; where there is none yet, it is made in moto."""
    told = place / "dynamodb"
    if not told.exists():
        make_dynamodb_table(place, _moto())
    return Table(_name(place), lambda: through(_connect(told.read_text())), observe)


def dynamodb_items(place: Path) -> list[tuple[str, str]]:
    """Name everything that lies in the table of a place."""
    pages = _connect((place / "dynamodb").read_text()).get_paginator("scan").paginate(TableName=_name(place))
    return [(item["pk"].get("S", ""), item["sk"].get("S", "")) for page in pages for item in page["Items"]]


@cache
def _connect_s3(endpoint: str) -> S3Client:
    return s3_client_of("us-east-1", endpoint, "test", "test")


def s3_bucket(place: Path) -> Bucket:
    """Reach the bucket of a place; where there is none yet, it is made in moto."""
    # A bucket's name has 63 characters at most.
    told, name = place / "s3", _name(place)[:40]
    if not told.exists():
        _connect_s3(_moto()).create_bucket(Bucket=name)
        told.write_text(_moto())
    return Bucket(name, partial(_connect_s3, told.read_text()))


@cache
def _connect_sqs(endpoint: str) -> SQSClient:
    return sqs_client_of("eu-central-1", endpoint, "test", "test")


def sqs_queue(
    place: Path, purpose: str = "work", through: Callable[[SQSClient], SQSClient] = lambda client: client
) -> Queue:
    """Reach a queue of a place in moto, through a client that may do more; where there is none yet, it is made."""
    # A queue's name has 80 characters at most.
    told, name = place / f"sqs-{purpose}", f"{_name(place)[:40]}-{purpose}"
    if not told.exists():
        _connect_sqs(_moto()).create_queue(QueueName=name)
        told.write_text(_moto())
    return Queue(name, lambda: through(_connect_sqs(told.read_text())))


def in_dynamodb(place: Path) -> Stores:
    table = dynamodb_table(place)
    return Stores(
        DynamoDirectory(table),
        DynamoLedger(table),
        DynamoLimiter(table),
        DynamoUsageStore(table),
        DynamoAnswerStore(table),
        table.aclose,
    )


def redis_connection(place: Path) -> Connection:
    """Reach what Redis keeps for a place; the processes of a test are told which one it is."""
    told = place / "redis"
    if not told.exists():
        told.write_text(shared_server())
    return Connection(told.read_text(), _name(place))


def in_redis(place: Path) -> Stores:
    """As it is served: Redis keeps what it can, and SQLite the rest."""
    connection, rest = redis_connection(place), in_sqlite(place)

    async def close() -> None:
        await connection.aclose()
        await rest.close()

    return replace(rest, limiter=RedisLimiter(connection), answers=RedisAnswerStore(connection), close=close)


KINDS: dict[str, Callable[[Path], Stores]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "dynamodb": in_dynamodb,
    "redis": in_redis,
}
#: The kinds that several processes may share.
SHARED = ["sqlite", "dynamodb", "redis"]
#: The ports of a kind that does not keep them all.
PARTIAL = {"redis": {"answers", "limiter"}}


def keepers(port: str) -> list[str]:
    """The kinds that have a store of their own for a port (`ledger`)."""
    return [kind for kind in KINDS if port in PARTIAL.get(kind, {port})]
