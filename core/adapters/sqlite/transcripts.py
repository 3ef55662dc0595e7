"""Knows how transcripts are kept in SQLite; see `pinnace.core.ports.Transcripts` for what it promises."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.sessions import overtaken
from pinnace.core.ports import Clock, Entry, TranscriptKey


class SqliteTranscripts:
    """`Transcripts` in a file; its thread encodes and decodes too, because that takes longer than the disk."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def append(self, key: TranscriptKey, entries: list[Entry], *, fence: int = 0) -> None:
        def work(connection: sqlite3.Connection) -> None:
            transcript = _opened(connection, key, fence, self._clock.now())
            subpath = key.get("subpath", "")
            connection.executemany(
                "INSERT INTO entries (transcript, subpath, uuid, entry) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(transcript, subpath, _uuid(entry), orjson.dumps(entry)) for entry in entries],
            )

        await self._database.write(work)

    async def load(self, key: TranscriptKey) -> list[Entry] | None:
        def work(connection: sqlite3.Connection) -> list[Entry] | None:
            found = connection.execute(
                "SELECT entry FROM entries JOIN transcripts ON transcript = transcripts.number"
                " WHERE project_key = ? AND session_id = ? AND subpath = ? ORDER BY entries.number",
                (*_where(key), key.get("subpath", "")),
            )
            return [orjson.loads(row["entry"]) for row in found] or None

        return await self._database.read(work)

    async def list_subkeys(self, key: TranscriptKey) -> list[str]:
        statement = (
            "SELECT DISTINCT subpath FROM entries JOIN transcripts ON transcript = transcripts.number"
            " WHERE project_key = ? AND session_id = ? AND subpath <> ''"
        )
        return await self._database.read(
            lambda connection: [row["subpath"] for row in connection.execute(statement, _where(key))]
        )

    async def list_sessions(self, project_key: str) -> list[dict[str, Any]]:
        statement = (
            "SELECT session_id, changed_at FROM transcripts WHERE project_key = ? AND EXISTS"
            " (SELECT 1 FROM entries WHERE transcript = transcripts.number AND subpath = '')"
        )
        return await self._database.read(
            lambda connection: [
                {"session_id": row["session_id"], "mtime": row["changed_at"]}
                for row in connection.execute(statement, (project_key,))
            ]
        )

    async def delete(self, key: TranscriptKey) -> None:
        def work(connection: sqlite3.Connection) -> None:
            if "subpath" not in key:
                connection.execute("DELETE FROM transcripts WHERE project_key = ? AND session_id = ?", _where(key))
                return
            connection.execute(
                "DELETE FROM entries WHERE subpath = ? AND transcript ="
                " (SELECT number FROM transcripts WHERE project_key = ? AND session_id = ?)",
                (key["subpath"], *_where(key)),
            )

        await self._database.write(work)
        await self._database.scrub()

    async def guard(self, key: TranscriptKey, fence: int) -> None:
        await self._database.write(lambda connection: _opened(connection, key, fence, self._clock.now()))


def _where(key: TranscriptKey) -> tuple[str, str]:
    return key["project_key"], key["session_id"]


def _uuid(entry: Entry) -> str | None:
    uuid = entry.get("uuid")
    return uuid if isinstance(uuid, str) else None


def _opened(connection: sqlite3.Connection, key: TranscriptKey, fence: int, now: float) -> int:
    """The transcript's number, once it is known that `fence` may write, and noted that it has."""
    row = connection.execute(
        # Milliseconds, but never the same twice.
        "INSERT INTO transcripts (project_key, session_id, fence, changed_at)"
        " VALUES (?1, ?2, ?3, MAX(?4, (SELECT IFNULL(MAX(changed_at), 0) + 1 FROM transcripts)))"
        " ON CONFLICT DO UPDATE SET fence = MAX(fence, ?3), changed_at = excluded.changed_at"
        " WHERE fence <= ?3 RETURNING number",
        (*_where(key), fence, int(now * 1000)),
    ).fetchone()
    if row is None:
        raise overtaken()
    number: int = row["number"]
    return number
