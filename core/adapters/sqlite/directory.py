"""Knows how projects and keys are kept in SQLite; see `pinnace.core.ports.Directory` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from pinnace.core.adapters.documents import audit_from, encode, key_from, project_from
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.access import AuditEntry, Key, Project


class SqliteDirectory:
    """`Directory` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_project(self, project: Project) -> bool:
        return await self._changed(
            "INSERT INTO projects (id, document) VALUES (?, ?) ON CONFLICT DO NOTHING", project.id, encode(project)
        )

    async def project(self, project_id: str) -> Project | None:
        rows = await self._rows("SELECT document FROM projects WHERE id = ?", project_id)
        return project_from(rows[0]["document"]) if rows else None

    async def projects(self, limit: int, after: str | None = None) -> Sequence[Project]:
        rows = await self._rows(
            "SELECT document FROM projects"
            " WHERE ?1 IS NULL OR number > (SELECT number FROM projects WHERE id = ?1) ORDER BY number LIMIT ?2",
            after,
            limit,
        )
        return [project_from(row["document"]) for row in rows]

    async def change_project(self, project: Project) -> bool:
        return await self._changed("UPDATE projects SET document = ? WHERE id = ?", encode(project), project.id)

    async def add_key(self, key: Key) -> bool:
        return await self._changed(
            "INSERT INTO keys (id, project_id, digest, document, revoked_at, last_used_at) SELECT ?, ?, ?, ?, ?, ?"
            " WHERE EXISTS (SELECT 1 FROM projects WHERE id = ?2) ON CONFLICT DO NOTHING",
            key.id,
            key.project_id,
            key.digest,
            encode(key),
            key.revoked_at,
            key.last_used_at,
        )

    async def find_key(self, digest: str) -> Key | None:
        rows = await self._rows("SELECT * FROM keys WHERE digest = ?", digest)
        return _key(rows[0]) if rows else None

    async def any_key(self, key_id: str) -> Key | None:
        rows = await self._rows("SELECT * FROM keys WHERE id = ?", key_id)
        return _key(rows[0]) if rows else None

    async def key(self, project_id: str, key_id: str) -> Key | None:
        rows = await self._rows("SELECT * FROM keys WHERE project_id = ? AND id = ?", project_id, key_id)
        return _key(rows[0]) if rows else None

    async def keys(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Key]:
        rows = await self._rows(
            "SELECT * FROM keys WHERE project_id = ?1 AND"
            " (?2 IS NULL OR number > (SELECT number FROM keys WHERE project_id = ?1 AND id = ?2))"
            " ORDER BY number LIMIT ?3",
            project_id,
            after,
            limit,
        )
        return [_key(row) for row in rows]

    async def change_key(self, key: Key) -> bool:
        return await self._changed(
            "UPDATE keys SET document = ?, revoked_at = coalesce(revoked_at, ?) WHERE project_id = ? AND id = ?",
            encode(key),
            key.revoked_at,
            key.project_id,
            key.id,
        )

    async def touch_key(self, project_id: str, key_id: str, at: float) -> None:
        await self._changed(
            "UPDATE keys SET last_used_at = ?1 WHERE project_id = ?2 AND id = ?3 AND coalesce(last_used_at, 0) < ?1",
            at,
            project_id,
            key_id,
        )

    async def has_keys(self) -> bool:
        return bool(await self._rows("SELECT 1 FROM keys LIMIT 1"))

    async def record(self, entry: AuditEntry) -> None:
        await self._changed("INSERT INTO audit (project_id, document) VALUES (?, ?)", entry.project_id, encode(entry))

    async def audit(self, project_id: str | None, limit: int) -> Sequence[AuditEntry]:
        rows = await self._rows(
            "SELECT document FROM audit WHERE ?1 IS NULL OR project_id = ?1 ORDER BY number DESC LIMIT ?2",
            project_id,
            limit,
        )
        return [audit_from(row["document"]) for row in rows]

    async def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        return await self._database.read(lambda connection: connection.execute(statement, values).fetchall())

    async def _changed(self, statement: str, *values: object) -> bool:
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount > 0)


def _key(row: sqlite3.Row) -> Key:
    return replace(key_from(row["document"]), revoked_at=row["revoked_at"], last_used_at=row["last_used_at"])
