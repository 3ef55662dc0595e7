"""Knows how answers are kept in SQLite; see `pinnace.core.ports.AnswerStore` for what it promises."""

from __future__ import annotations

import sqlite3

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer

#: Expired answers that are cleared away whenever one is kept.
SWEPT = 20


class SqliteAnswerStore:
    """`AnswerStore` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
        def work(connection: sqlite3.Connection) -> KeptAnswer | None:
            present = _look(connection, answer_id, now)
            if present is None:
                _put(connection, answer_id, KeptAnswer(fingerprint, None), until)
            return present

        return await self._database.write(work)

    async def keep(self, answer_id: AnswerId, answer: KeptAnswer, now: float, until: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _put(connection, answer_id, answer, until)
            connection.execute(
                "DELETE FROM answers WHERE (kind, project_id, name) IN"
                " (SELECT kind, project_id, name FROM answers WHERE expires_at <= ? LIMIT ?)",
                (now, SWEPT),
            )

        await self._database.write(work)

    async def look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None:
        return await self._database.read(lambda connection: _look(connection, answer_id, now))

    async def release(self, answer_id: AnswerId) -> None:
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM answers WHERE kind = ? AND project_id = ? AND name = ? AND answer IS NULL", _key(answer_id)
            )
        )

    async def forget(self, kind: AnswerKind, project_id: str) -> int:
        return await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM answers WHERE kind = ? AND project_id = ?", (kind.value, project_id)
                ).rowcount
            )
        )


def _key(answer_id: AnswerId) -> tuple[str, str, str]:
    return answer_id.kind.value, answer_id.project_id, answer_id.name


def _look(connection: sqlite3.Connection, answer_id: AnswerId, now: float) -> KeptAnswer | None:
    row = connection.execute(
        "SELECT fingerprint, answer FROM answers WHERE kind = ? AND project_id = ? AND name = ? AND expires_at > ?",
        (*_key(answer_id), now),
    ).fetchone()
    return None if row is None else KeptAnswer(row["fingerprint"], row["answer"])


def _put(connection: sqlite3.Connection, answer_id: AnswerId, answer: KeptAnswer, until: float) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
        (*_key(answer_id), answer.fingerprint, answer.answer, until),
    )
