"""Knows how to open each kind of store of files' records, for the contract suite and the processes that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stores import dynamodb_table

from pinnace.core.adapters.dynamodb.files import DynamoFiles
from pinnace.core.adapters.memory.files import MemoryFiles
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.adapters.sqlite.file_tables import FILE_TABLES
from pinnace.core.adapters.sqlite.files import SqliteFiles
from pinnace.core.errors import StorageExceeded
from pinnace.core.model.files import StoredFile, new_id
from pinnace.core.ports import Files


@dataclass(frozen=True)
class FileRecords:
    files: Files
    close: Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return None


def in_memory(_place: Path) -> FileRecords:
    return FileRecords(MemoryFiles(), _nothing)


def in_sqlite(place: Path) -> FileRecords:
    database = Database(place / "files.sqlite3", FILE_TABLES)
    return FileRecords(SqliteFiles(database), database.aclose)


def in_dynamodb(place: Path) -> FileRecords:
    table = dynamodb_table(place)
    return FileRecords(DynamoFiles(table), table.aclose)


KINDS: dict[str, Callable[[Path], FileRecords]] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "dynamodb": in_dynamodb,
}
#: The kinds that several processes may share.
SHARED = ["sqlite", "dynamodb"]


def upload(moment: float = 1.0, project_id: str = "p", **fields: Any) -> StoredFile:
    made = StoredFile(project_id, new_id(moment), "a.txt", "text/plain", 10, moment, completes_by=moment + 100)
    return replace(made, **fields)


def fill(kind: str, place: Path, times: int) -> int:
    """Begin uploads of 10 bytes under a quota of 500, so often; drop each second one. Gives how many stay."""

    async def work() -> int:
        opened, stay = KINDS[kind](place), 0
        for number in range(times):
            made = upload()
            try:
                await opened.files.begin(made, 500)
            except StorageExceeded:
                continue
            if number % 2:
                assert await opened.files.withdraw(made)
                assert await opened.files.remove(made)
            else:
                stay += 1
        await opened.close()
        return stay

    return asyncio.run(work())
