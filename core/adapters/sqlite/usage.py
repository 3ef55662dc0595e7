"""Knows how usage is kept in SQLite; see `pinnace.core.ports.UsageStore` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pinnace.core.adapters.documents import encode, record_from
from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.usage import KINDS, UsageRecord, UsageTotal, Use, day_of

_COLUMNS = ", ".join(KINDS)
_MARKS = ", ".join(f":{kind}" for kind in KINDS)
_SUMS = ", ".join(f"{kind} = {kind} + :{kind}" for kind in KINDS)
_COUNT = (
    f"INSERT INTO usage_totals (project_id, day, key_id, model, requests, {_COLUMNS}, microusd)"
    f" VALUES (:project_id, :day, :key_id, :model, 1, {_MARKS}, :microusd)"
    f" ON CONFLICT DO UPDATE SET requests = requests + 1, {_SUMS}, microusd = microusd + :microusd"
)


class SqliteUsageStore:
    """`UsageStore` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: UsageRecord) -> None:
        await self._database.write(lambda connection: _add(connection, record))

    async def totals(self, project_id: str, first: str, last: str, key_id: str | None = None) -> Sequence[UsageTotal]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT * FROM usage_totals WHERE project_id = ?1 AND day BETWEEN ?2 AND ?3"
                " AND (?4 IS NULL OR key_id = ?4) ORDER BY day, key_id, model",
                (project_id, first, last, key_id),
            ).fetchall()
        )
        return [_total(row) for row in rows]

    async def records(self, project_id: str, limit: int) -> Sequence[UsageRecord]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT document FROM usage_records WHERE project_id = ? ORDER BY number DESC LIMIT ?",
                (project_id, limit),
            ).fetchall()
        )
        return [record_from(row["document"]) for row in rows]


def _add(connection: sqlite3.Connection, record: UsageRecord) -> None:
    added = connection.execute(
        "INSERT INTO usage_records (request_id, project_id, at, document) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (record.request_id, record.project_id, record.at, encode(record)),
    )
    if not added.rowcount:
        return
    whose = {"project_id": record.project_id, "day": day_of(record.at), "key_id": record.key_id or ""}
    for model, use in record.used().items():
        counts = {kind: use.tokens.get(kind, 0) for kind in KINDS}
        connection.execute(_COUNT, whose | {"model": model, "microusd": use.microusd} | counts)


def _total(row: sqlite3.Row) -> UsageTotal:
    use = Use({kind: row[kind] for kind in KINDS}, row["microusd"])
    return UsageTotal(row["day"], row["key_id"] or None, row["model"], row["requests"], use)
