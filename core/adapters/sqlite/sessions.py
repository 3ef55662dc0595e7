"""Knows how sessions are kept in SQLite; see `pinnace.core.ports.Sessions` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from pinnace.core.adapters.documents import encode, session_from
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.sessions import Session, held_by_another


class SqliteSessions:
    """`Sessions` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: Session) -> bool:
        values = (
            session.project_id,
            session.id,
            encode(session),
            session.fence,
            session.held_until,
            session.expires_at,
        )
        statement = (
            "INSERT INTO sessions (project_id, id, document, fence, held_until, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING"
        )
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1)

    async def find(self, project_id: str, session_id: str) -> Session | None:
        return await self._database.read(lambda connection: _find(connection, project_id, session_id))

    async def page(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Session]:
        statement = (
            "SELECT * FROM sessions WHERE project_id = ?1 AND (?2 IS NULL OR number >"
            " (SELECT number FROM sessions WHERE project_id = ?1 AND id = ?2)) ORDER BY number LIMIT ?3"
        )
        return await self._database.read(
            lambda connection: [_session(row) for row in connection.execute(statement, (project_id, after, limit))]
        )

    async def acquire(self, project_id: str, session_id: str, now: float, until: float) -> Session | None:
        def work(connection: sqlite3.Connection) -> Session | None:
            session = _find(connection, project_id, session_id)
            if session is None:
                return None
            if session.held_until > now:
                raise held_by_another(session, now)
            taken = replace(session, fence=session.fence + 1, held_until=until)
            _write(connection, taken, session.fence)
            return taken

        return await self._database.write(work)

    async def renew(self, session: Session, until: float) -> bool:
        values = (until, session.project_id, session.id, session.fence)
        statement = "UPDATE sessions SET held_until = ? WHERE project_id = ? AND id = ? AND fence = ?"
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1)

    async def save(self, session: Session) -> bool:
        return await self._database.write(lambda connection: _write(connection, session, session.fence))

    async def remove(self, session: Session) -> bool:
        values = (session.project_id, session.id, session.fence)
        statement = "DELETE FROM sessions WHERE project_id = ? AND id = ? AND fence = ?"
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount == 1)

    async def expired(self, now: float, limit: int) -> Sequence[Session]:
        statement = "SELECT * FROM sessions WHERE expires_at <= ?1 AND held_until <= ?1 LIMIT ?2"
        return await self._database.read(
            lambda connection: [_session(row) for row in connection.execute(statement, (now, limit))]
        )


def _find(connection: sqlite3.Connection, project_id: str, session_id: str) -> Session | None:
    row = connection.execute(
        "SELECT * FROM sessions WHERE project_id = ? AND id = ?", (project_id, session_id)
    ).fetchone()
    return None if row is None else _session(row)


def _session(row: sqlite3.Row) -> Session:
    # The columns are what is decided by; the document is as old as the last `save`.
    return replace(session_from(row["document"]), fence=row["fence"], held_until=row["held_until"])


def _write(connection: sqlite3.Connection, session: Session, fence: int) -> bool:
    values = (encode(session), session.fence, session.held_until, session.expires_at)
    statement = (
        "UPDATE sessions SET document = ?, fence = ?, held_until = ?, expires_at = ?"
        " WHERE project_id = ? AND id = ? AND fence = ?"
    )
    return connection.execute(statement, (*values, session.project_id, session.id, fence)).rowcount == 1
