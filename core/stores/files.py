"""Knows how settings become the stores of uploaded files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pinnace.core.ports import Blobs, DirectUploads, Files
from pinnace.core.sections import AwsSettings
from pinnace.core.settings import Settings
from pinnace.core.stores.connections import dynamodb_table, nothing, s3_bucket

#: What the names of files begin with, within a bucket, and those of what clients sent there by themselves.
FILES, SENT = "files", "files-sent"
#: Where files lie while they are received, within `data_dir`: on the disk where they are kept.
ARRIVING = "arriving"


@dataclass(frozen=True, slots=True)
class FileStores:
    """Where files are kept: what is known of them, their bytes, and how clients send them there by themselves, if they can."""

    files: Files
    blobs: Blobs
    arriving: Path
    close: Callable[[], Awaitable[None]]
    direct: DirectUploads | None = None


def open_files(settings: Settings) -> FileStores:
    """Make the stores of files; nothing is opened before it is used.

    Raises:
        Misconfigured: as `open_stores`.
    """
    arriving = settings.data_dir / ARRIVING
    if settings.store == "dynamodb":
        return _open_aws_files(settings.aws, arriving)
    if settings.store == "memory":
        from pinnace.core.adapters.memory.blobs import MemoryBlobs
        from pinnace.core.adapters.memory.files import MemoryFiles

        return FileStores(MemoryFiles(), MemoryBlobs(), arriving, nothing)
    from pinnace.core.adapters.local.blobs import LocalBlobs
    from pinnace.core.adapters.sqlite.database import Database
    from pinnace.core.adapters.sqlite.file_tables import FILE_TABLES
    from pinnace.core.adapters.sqlite.files import SqliteFiles

    database = Database(settings.data_dir / "files.sqlite3", FILE_TABLES)
    return FileStores(SqliteFiles(database), LocalBlobs(settings.data_dir / FILES), arriving, database.aclose)


def _open_aws_files(aws: AwsSettings, arriving: Path) -> FileStores:
    from pinnace.core.adapters.dynamodb.files import DynamoFiles
    from pinnace.core.adapters.s3.blobs import S3Blobs
    from pinnace.core.adapters.s3.uploads import S3Uploads

    table, bucket = dynamodb_table(aws), s3_bucket(aws)
    blobs = S3Blobs(bucket, FILES)

    async def close() -> None:
        await bucket.aclose()
        await table.aclose()

    return FileStores(DynamoFiles(table), blobs, arriving, close, S3Uploads(bucket, SENT, blobs))
