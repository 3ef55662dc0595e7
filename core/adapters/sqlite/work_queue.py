"""Knows how tasks wait in SQLite; see `pinnace.core.ports.WorkQueue` for what it promises."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.batches import Batch, BatchItem, Delivery, Task

#: Tasks that are written in one transaction: others may come in between.
AT_ONCE = 2_000
_PUT = "INSERT INTO tasks (place, project_id, batch_id, custom_id, begin, length, available_at) VALUES (?, ?, ?, ?, ?, ?, 0)"
_TAKE = "SELECT * FROM tasks WHERE available_at <= ? ORDER BY place, number LIMIT ?"
_MARK = "UPDATE tasks SET available_at = ?, receipt = ? WHERE number = ?"
_BURY = """INSERT INTO buried (project_id, batch_id, place, custom_id, begin, length)
    SELECT project_id, batch_id, place, custom_id, begin, length FROM tasks WHERE receipt = ? AND number = ?"""


class SqliteWorkQueue:
    """`WorkQueue` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, tasks: Sequence[Task]) -> None:
        for begin in range(0, len(tasks), AT_ONCE):
            rows = [_row(task) for task in tasks[begin : begin + AT_ONCE]]
            await self._database.write(lambda connection, rows=rows: connection.executemany(_PUT, rows))  # type: ignore[misc]

    async def take(self, limit: int, now: float, until: float) -> Sequence[Delivery]:
        def work(connection: sqlite3.Connection) -> list[Delivery]:
            taken = []
            for row in connection.execute(_TAKE, (now, limit)).fetchall():
                receipt = f"{row['number']}.{secrets.token_hex(8)}"
                connection.execute(_MARK, (until, receipt, row["number"]))
                taken.append(Delivery(_task(row), receipt))
            return taken

        # Who looks again and again must not take the lock of the file for nothing.
        if not await self._database.read(lambda connection: connection.execute(_TAKE, (now, 1)).fetchone()):
            return []
        return await self._database.write(work)

    async def hold(self, delivery: Delivery, now: float, until: float) -> None:
        await self.give_back(delivery, now, until)

    async def give_back(self, delivery: Delivery, now: float, at: float) -> None:  # noqa: ARG002 - the port's signature
        await self._run("UPDATE tasks SET available_at = ? WHERE receipt = ? AND number = ?", at, *_key(delivery))

    async def done(self, delivery: Delivery) -> None:
        await self._run("DELETE FROM tasks WHERE receipt = ? AND number = ?", *_key(delivery))

    async def bury(self, delivery: Delivery) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_BURY, _key(delivery))
            connection.execute("DELETE FROM tasks WHERE receipt = ? AND number = ?", _key(delivery))

        await self._database.write(work)

    async def buried(self, limit: int) -> Sequence[Task]:
        statement = "SELECT * FROM (SELECT * FROM buried ORDER BY number DESC LIMIT ?) ORDER BY number"
        return await self._database.read(
            lambda connection: [_task(row) for row in connection.execute(statement, (limit,))]
        )

    async def forget(self, batch: Batch) -> None:
        await self._run("DELETE FROM tasks WHERE batch_id = ? AND project_id = ?", batch.id, batch.project_id)

    async def _run(self, statement: str, *values: object) -> None:
        await self._database.write(lambda connection: connection.execute(statement, values))


def _key(delivery: Delivery) -> tuple[str, int]:
    return delivery.receipt, int(delivery.receipt.partition(".")[0])


def _row(task: Task) -> tuple[object, ...]:
    item = task.item
    return item.number, task.project_id, task.batch_id, item.custom_id, item.offset, item.length


def _task(row: sqlite3.Row) -> Task:
    item = BatchItem(row["place"], row["custom_id"], row["begin"], row["length"])
    return Task(row["project_id"], row["batch_id"], item)
