"""Knows how files' records are kept in SQLite; see `pinnace.core.ports.Files` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson

from pinnace.core.adapters.file_documents import encode_file, file_from
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.errors import StorageExceeded
from pinnace.core.model.files import FileState, StoredFile


class SqliteFiles:
    """`Files` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, upload: StoredFile, quota: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            left = quota - _used(connection, upload.project_id)
            if upload.size > left:
                raise StorageExceeded(limit=quota, left=left, needed=upload.size)
            _count(connection, upload.project_id, upload.size)
            values = (
                upload.project_id,
                upload.id,
                upload.state.value,
                upload.size,
                upload.due,
                encode_file(upload),
            )
            connection.execute(
                "INSERT INTO files (project_id, id, state, size, due, document) VALUES (?, ?, ?, ?, ?, ?)", values
            )

        await self._database.write(work)

    async def complete(self, file: StoredFile) -> bool:
        return await self._step(FileState.UPLOADING, replace(file, state=FileState.READY))

    async def withdraw(self, file: StoredFile) -> bool:
        return await self._step(file.state, replace(file, state=FileState.LEAVING))

    async def remove(self, file: StoredFile) -> bool:
        statement = "DELETE FROM files WHERE project_id = ? AND id = ? AND state = ? RETURNING size"

        def work(connection: sqlite3.Connection) -> bool:
            gone = connection.execute(statement, (file.project_id, file.id, FileState.LEAVING.value)).fetchall()
            for row in gone:
                _count(connection, file.project_id, -int(row["size"]))
            return bool(gone)

        return await self._database.write(work)

    async def find(self, project_id: str, file_id: str) -> StoredFile | None:
        found = await self.many(project_id, [file_id])
        return found[0] if found else None

    async def many(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        statement = "SELECT document FROM files WHERE project_id = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY id DESC"
        return await self._select(statement, (project_id, orjson.dumps(list(file_ids)).decode()))

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[StoredFile]:
        ready = "SELECT document FROM files WHERE project_id = ? AND state = ? "
        values = (project_id, FileState.READY.value)
        if before is not None:
            nearest = await self._select(f"{ready} AND id > ? ORDER BY id LIMIT ?", (*values, before, limit))
            return list(reversed(nearest))
        # `g` is behind every hexadecimal digit.
        return await self._select(f"{ready} AND id < ? ORDER BY id DESC LIMIT ?", (*values, after or "g", limit))

    async def expired(self, now: float, limit: int) -> Sequence[StoredFile]:
        return await self._select("SELECT document FROM files WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))

    async def used(self, project_id: str) -> int:
        return await self._database.read(lambda connection: _used(connection, project_id))

    async def _step(self, state: FileState, becomes: StoredFile) -> bool:
        values = (becomes.state.value, becomes.due, encode_file(becomes), becomes.project_id, becomes.id, state.value)
        statement = "UPDATE files SET state = ?, due = ?, document = ? WHERE project_id = ? AND id = ? AND state = ?"
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1)

    async def _select(self, statement: str, values: Iterable[object]) -> list[StoredFile]:
        return await self._database.read(
            lambda connection: [file_from(row["document"]) for row in connection.execute(statement, tuple(values))]
        )


def _used(connection: sqlite3.Connection, project_id: str) -> int:
    row = connection.execute("SELECT bytes FROM storage WHERE project_id = ?", (project_id,)).fetchone()
    return 0 if row is None else int(row["bytes"])


def _count(connection: sqlite3.Connection, project_id: str, size: int) -> None:
    connection.execute(
        "INSERT INTO storage (project_id, bytes) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET bytes = bytes + ?2",
        (project_id, size),
    )
