"""Knows how batches are kept in SQLite; see `pinnace.core.ports.Batches` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import orjson

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.batches import ABANDONED, KEPT, Batch, Claim, ClaimState, Counts, ItemResult, Task, Verdict
from pinnace.core.model.run import Profile

#: Results that are read at a time.
AT_ONCE = 200
_NUMBER = "(SELECT number FROM batches WHERE project_id = ? AND id = ?)"
_DUE = f"""SELECT * FROM (
    SELECT * FROM batches WHERE ended_at IS NULL AND is_ready = 0 AND created_at <= :now - {ABANDONED}
    UNION ALL
    SELECT * FROM batches WHERE ended_at IS NULL AND is_ready = 1
        AND (cancel_at IS NOT NULL OR expires_at <= :now OR succeeded + errored + canceled + expired >= total)
    UNION ALL
    SELECT * FROM batches WHERE ended_at IS NOT NULL AND archived_at IS NULL AND created_at <= :now - {KEPT}
) LIMIT :limit"""


class SqliteBatches:
    """`Batches` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Batch) -> Batch | None:
        statement = (
            "INSERT INTO batches (project_id, id, document, created_at, expires_at, total, is_ready)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        )
        values = (
            batch.project_id,
            batch.id,
            _document(batch),
            batch.created_at,
            batch.expires_at,
            batch.total,
            batch.is_ready,
        )

        def work(connection: sqlite3.Connection) -> Batch | None:
            if connection.execute(statement, values).rowcount == 1:
                return None
            return _find(connection, batch.project_id, batch.id)

        return await self._database.write(work)

    async def open(self, batch: Batch) -> None:
        await self._change(batch, "total = ?, is_ready = 1", batch.total)

    async def find(self, project_id: str, batch_id: str) -> Batch | None:
        return await self._database.read(lambda connection: _find(connection, project_id, batch_id))

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[Batch]:
        pivot, behind = (before, False) if before is not None else (after, True)
        order, compare = ("DESC", "<") if behind else ("ASC", ">")
        statement = (
            "SELECT * FROM batches WHERE project_id = ?1 AND is_ready = 1 AND (?2 IS NULL OR (created_at, id) "
            f"{compare} (SELECT created_at, id FROM batches WHERE project_id = ?1 AND id = ?2))"
            f" ORDER BY created_at {order}, id {order} LIMIT ?3"
        )
        found = await self._database.read(
            lambda connection: [_batch(row) for row in connection.execute(statement, (project_id, pivot, limit))]
        )
        return found if behind else found[::-1]

    async def cancel(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        statement = "UPDATE batches SET cancel_at = ? WHERE project_id = ? AND id = ? AND cancel_at IS NULL AND ended_at IS NULL"

        def work(connection: sqlite3.Connection) -> Batch | None:
            connection.execute(statement, (now, project_id, batch_id))
            return _find(connection, project_id, batch_id)

        return await self._database.write(work)

    async def claim(self, task: Task, holder: str, now: float, until: float) -> Claim:
        def work(connection: sqlite3.Connection) -> Claim:
            batch = _find(connection, task.project_id, task.batch_id)
            if batch is None or not batch.takes(now):
                return Claim(ClaimState.CLOSED)
            row = _item(connection, task)
            if row is not None and row["verdict"] is not None:
                return Claim(ClaimState.DONE)
            if row is not None and row["held_until"] > now:
                return Claim(ClaimState.HELD)
            tries = 1 if row is None else row["tries"] + 1
            connection.execute(
                f"INSERT INTO items (batch, number, holder, held_until, tries) VALUES ({_NUMBER}, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until, tries = excluded.tries",
                (task.project_id, task.batch_id, task.item.number, holder, until, tries),
            )
            return Claim(ClaimState.TAKEN, tries)

        return await self._database.write(work)

    async def hold(self, task: Task, holder: str, until: float) -> bool:
        return await self._held(task, holder, "held_until = ?", until)

    async def release(self, task: Task, holder: str, *, counts: bool = True) -> None:
        await self._held(task, holder, "holder = NULL, held_until = 0, tries = tries - ?", int(not counts))

    async def finish(self, task: Task, result: ItemResult) -> Batch | None:
        verdict = result.verdict.value
        keep = (
            "INSERT INTO items (batch, number, held_until, tries, verdict, document, microusd)"
            f" VALUES ({_NUMBER}, ?, 0, 0, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET verdict = excluded.verdict, document = excluded.document,"
            " microusd = excluded.microusd, holder = NULL, held_until = 0 WHERE items.verdict IS NULL"
        )
        count = f"UPDATE batches SET {verdict} = {verdict} + 1, microusd = microusd + ? WHERE project_id = ? AND id = ?"

        def work(connection: sqlite3.Connection) -> Batch | None:
            batch = _find(connection, task.project_id, task.batch_id)
            if batch is None or batch.ended_at is not None:
                return None
            values = (task.project_id, task.batch_id, task.item.number, verdict, result.document, result.microusd)
            if connection.execute(keep, values).rowcount != 1:
                return None
            connection.execute(count, (result.microusd, task.project_id, task.batch_id))
            return _find(connection, task.project_id, task.batch_id)

        return await self._database.write(work)

    async def running(self, project_id: str, batch_id: str, now: float) -> int:
        statement = f"SELECT count(*) FROM items WHERE batch = {_NUMBER} AND held_until > ?"
        found: int = await self._database.read(
            lambda connection: connection.execute(statement, (project_id, batch_id, now)).fetchone()[0]
        )
        return found

    async def results(self, project_id: str, batch_id: str) -> AsyncGenerator[tuple[int, ItemResult], None]:
        statement = f"SELECT * FROM items WHERE batch = {_NUMBER} AND number > ? AND verdict IS NOT NULL ORDER BY number LIMIT ?"
        last = -1
        while True:
            values = (project_id, batch_id, last, AT_ONCE)
            rows = await self._database.read(
                lambda connection, values=values: connection.execute(statement, values).fetchall()  # type: ignore[misc]
            )
            for row in rows:
                last = row["number"]
                yield last, ItemResult(Verdict(row["verdict"]), row["document"], row["microusd"])
            if len(rows) < AT_ONCE:
                return

    async def end(self, batch: Batch, counts: Counts, results_size: int, now: float) -> bool:
        return await self._change(
            batch,
            "succeeded = ?, errored = ?, canceled = ?, expired = ?, results_size = ?, ended_at = ?",
            counts.succeeded,
            counts.errored,
            counts.canceled,
            counts.expired,
            results_size,
            now,
            where="AND ended_at IS NULL AND succeeded = ? AND errored = ?",
            bound=(counts.succeeded, counts.errored),
        )

    async def tidy(self, batch: Batch) -> None:
        statement = f"DELETE FROM items WHERE batch = {_NUMBER}"
        await self._database.write(lambda connection: connection.execute(statement, (batch.project_id, batch.id)))

    async def archive(self, batch: Batch, now: float) -> None:
        await self._change(batch, "archived_at = ?", now)

    async def remove(self, batch: Batch) -> None:
        statement = "DELETE FROM batches WHERE project_id = ? AND id = ?"
        await self._database.write(lambda connection: connection.execute(statement, (batch.project_id, batch.id)))
        await self._database.scrub()

    async def due(self, now: float, limit: int) -> Sequence[Batch]:
        values = {"now": now, "limit": limit}
        return await self._database.read(lambda connection: [_batch(row) for row in connection.execute(_DUE, values)])

    async def _change(
        self, batch: Batch, assignments: str, *values: object, where: str = "", bound: Sequence[object] = ()
    ) -> bool:
        statement = f"UPDATE batches SET {assignments} WHERE project_id = ? AND id = ? {where}"
        given = (*values, batch.project_id, batch.id, *bound)
        return await self._database.write(lambda connection: connection.execute(statement, given).rowcount == 1)

    async def _held(self, task: Task, holder: str, assignments: str, value: float) -> bool:
        statement = (
            f"UPDATE items SET {assignments} WHERE batch = {_NUMBER} AND number = ? AND holder = ? AND verdict IS NULL"
        )
        given = (value, task.project_id, task.batch_id, task.item.number, holder)
        return await self._database.write(lambda connection: connection.execute(statement, given).rowcount == 1)


def _find(connection: sqlite3.Connection, project_id: str, batch_id: str) -> Batch | None:
    statement = "SELECT * FROM batches WHERE project_id = ? AND id = ?"
    row = connection.execute(statement, (project_id, batch_id)).fetchone()
    return None if row is None else _batch(row)


def _item(connection: sqlite3.Connection, task: Task) -> sqlite3.Row | None:
    statement = f"SELECT * FROM items WHERE batch = {_NUMBER} AND number = ?"
    row: sqlite3.Row | None = connection.execute(
        statement, (task.project_id, task.batch_id, task.item.number)
    ).fetchone()
    return row


def _document(batch: Batch) -> str:
    """What of a batch never changes."""
    fixed = {
        "key_id": batch.key_id,
        "profile": batch.profile.value,
        "betas": batch.betas,
        "api_version": batch.api_version,
        "fingerprint": batch.fingerprint,
    }
    return orjson.dumps(fixed).decode()


def _batch(row: sqlite3.Row) -> Batch:
    fixed = orjson.loads(row["document"])
    names = (
        "project_id",
        "id",
        "created_at",
        "expires_at",
        "total",
        "cancel_at",
        "ended_at",
        "archived_at",
        "microusd",
    )
    made = Batch(
        **{name: row[name] for name in names}, results_size=row["results_size"], is_ready=bool(row["is_ready"])
    )
    counts = Counts(row["succeeded"], row["errored"], row["canceled"], row["expired"])
    fixed |= {"profile": Profile(fixed["profile"]), "betas": tuple(fixed["betas"])}
    return replace(made, counts=counts, **fixed)
