"""Knows how settings become the stores of batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pinnace.core.ports import Batches, Blobs, WorkQueue
from pinnace.core.sections import AwsSettings
from pinnace.core.settings import Settings
from pinnace.core.stores.connections import dynamodb_table, nothing, s3_bucket, sqs_queue

#: The directory of their files, within `data_dir`; within a bucket, what their names begin with.
BATCHES = "batches"


@dataclass(frozen=True, slots=True)
class BatchStores:
    """Where batches are kept: what is known of them, what waits to be done, and their files."""

    batches: Batches
    queue: WorkQueue
    blobs: Blobs
    close: Callable[[], Awaitable[None]]


def open_batches(settings: Settings) -> BatchStores:
    """Make the stores of batches; nothing is opened before it is used.

    Raises:
        Misconfigured: as `open_stores`.
    """
    if settings.store == "dynamodb":
        return _open_aws_batches(settings.aws)
    if settings.store == "memory":
        from pinnace.core.adapters.memory.batches import MemoryBatches
        from pinnace.core.adapters.memory.blobs import MemoryBlobs
        from pinnace.core.adapters.memory.work_queue import MemoryWorkQueue

        return BatchStores(MemoryBatches(), MemoryWorkQueue(), MemoryBlobs(), nothing)
    from pinnace.core.adapters.local.blobs import LocalBlobs
    from pinnace.core.adapters.sqlite.batch_tables import BATCH_TABLES
    from pinnace.core.adapters.sqlite.batches import SqliteBatches
    from pinnace.core.adapters.sqlite.database import Database
    from pinnace.core.adapters.sqlite.work_queue import SqliteWorkQueue

    file = Database(settings.data_dir / "batches.sqlite3", BATCH_TABLES)
    return BatchStores(SqliteBatches(file), SqliteWorkQueue(file), LocalBlobs(settings.data_dir / BATCHES), file.aclose)


def _open_aws_batches(aws: AwsSettings) -> BatchStores:
    from pinnace.core.adapters.dynamodb.batches import DynamoBatches
    from pinnace.core.adapters.s3.blobs import S3Blobs

    table, bucket = dynamodb_table(aws), s3_bucket(aws)
    blobs = S3Blobs(bucket, BATCHES)
    queue, close_queue = _open_aws_queue(aws)

    async def close() -> None:
        await close_queue()
        await bucket.aclose()
        await table.aclose()

    return BatchStores(DynamoBatches(table, blobs), queue, blobs, close)


def _open_aws_queue(aws: AwsSettings) -> tuple[WorkQueue, Callable[[], Awaitable[None]]]:
    from pinnace.core.adapters.sqs.no_queue import NoWorkQueue
    from pinnace.core.adapters.sqs.work_queue import SqsWorkQueue

    if aws.queue is None:
        # A server that is asked for no batches needs none.
        return NoWorkQueue(), nothing
    queue = sqs_queue(aws, aws.queue)
    dead_letters = None if aws.dead_letter_queue is None else sqs_queue(aws, aws.dead_letter_queue)

    async def close() -> None:
        await queue.aclose()
        if dead_letters is not None:
            await dead_letters.aclose()

    return SqsWorkQueue(queue, dead_letters), close
