"""Knows how batches lie in DynamoDB; see `pinnace.core.ports.Batches` for what it promises.

Their items are described in `batch_items`, `batch_holds` and `batch_results`. Round trips, one after the other:

- `add`: 1 TransactWriteItems; `find`: 1 GetItem; `open`, `cancel`, `end` and `archive`: 1 GetItem, 1 TransactWriteItems;
- `claim`: 1 TransactWriteItems, another where the item was begun before; `hold` and `release`: 1 UpdateItem;
- `finish`: 1 TransactWriteItems, 1 GetItem; of a batch's last item another TransactWriteItems; a file before it, if it is large;
- `running`: 1 Query for each megabyte, of items that were begun and are not done;
- `results`: 1 Query for 200 results or a megabyte, and a file for each large one;
- `page`: 1 Query, 1 BatchGetItem for 100 batches, and 1 GetItem before where it goes on behind or in front of a batch;
- `due`: 1 Query for each of 4 shards, and 1 BatchGetItem where something is due;
- `tidy`: 2 Query, 1 BatchWriteItem for 25 results, 1 list of files; `remove`: the same, and 2 GetItem, 2 TransactWriteItems.

The counters of a batch are one item, and each item of the batch asks for it in two transactions. Those on one item go one after
the other, and whoever meets another tries again: a batch takes a few hundred writes a second at most, so about a hundred items.
Batches do not stand in each other's way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from pinnace.core.adapters.dynamodb import batch_holds as holds
from pinnace.core.adapters.dynamodb.batch_items import (
    SHARDS,
    batch_from,
    entry_at,
    entry_of,
    listed_at,
    moment_of,
    step,
    unset,
    where_of,
    written,
)
from pinnace.core.adapters.dynamodb.batch_results import BatchResults
from pinnace.core.adapters.dynamodb.items import Action, Change, ConditionFailed, Delete, Drop, Put, Value
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.errors import StoreFailed
from pinnace.core.model.batches import Batch, Claim, Counts, ItemResult, Task
from pinnace.core.ports import Blobs

_FIRST, _LAST = "0", "9" * 17 + "~"


class DynamoBatches:
    """`Batches` in a table; results that are large lie in `blobs`."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table = table
        self._results = BatchResults(table, blobs)

    async def add(self, batch: Batch) -> Batch | None:
        return await self._table.run(lambda items: _add(items, batch))

    async def open(self, batch: Batch) -> None:
        def make(before: Batch, change: Change) -> Batch | None:
            if before.is_ready:
                return None
            change.require(f"{change.name('is_ready')} = {change.value(0)}")
            change.set("is_ready", change.value(1))
            change.set("total", change.value(batch.total))
            change.add("left", batch.total)
            return replace(before, total=batch.total, is_ready=True)

        def listed(before: Batch) -> Sequence[Action]:
            return [Put(listed_at(before), {"of": before.id})]

        await self._table.run(lambda items: step(items, (batch.project_id, batch.id), make, listed))

    async def find(self, project_id: str, batch_id: str) -> Batch | None:
        item = await self._table.run(lambda items: items.get(where_of(project_id, batch_id)))
        return None if item is None else batch_from(item)

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[Batch]:
        pivot = after if before is None else before
        return await self._table.run(lambda items: _page(items, project_id, limit, pivot, older=before is None))

    async def cancel(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        def make(before: Batch, change: Change) -> Batch | None:
            if before.cancel_at is not None or before.ended_at is not None:
                return None
            unset(change, "cancel_at")
            unset(change, "ended_at")
            change.set("cancel_at", change.value(now))
            return replace(before, cancel_at=now)

        return (await self._table.run(lambda items: step(items, (project_id, batch_id), make)))[1]

    async def claim(self, task: Task, holder: str, now: float, until: float) -> Claim:
        return await self._table.run(lambda items: holds.claim(items, task, holder, now, until))

    async def hold(self, task: Task, holder: str, until: float) -> bool:
        return await self._table.run(lambda items: holds.hold(items, task, holder, until))

    async def release(self, task: Task, holder: str, *, counts: bool = True) -> None:
        await self._table.run(lambda items: holds.release(items, task, holder, counts=counts))

    async def finish(self, task: Task, result: ItemResult) -> Batch | None:
        values = await self._results.write(task, result)
        batch = await self._table.run(lambda items: holds.finish(items, task, result, values))
        if batch is None:
            # Only here: a failure may be an answer that was lost, and the result may count.
            await self._results.withdraw(values)
        return batch

    async def running(self, project_id: str, batch_id: str, now: float) -> int:
        return await self._table.run(lambda items: holds.running(items, project_id, batch_id, now))

    def results(self, project_id: str, batch_id: str) -> AsyncGenerator[tuple[int, ItemResult], None]:
        return self._results.read(project_id, batch_id)

    async def end(self, batch: Batch, counts: Counts, results_size: int, now: float) -> bool:
        def make(before: Batch, change: Change) -> Batch | None:
            if before.ended_at is not None or not before.counts.same_results(counts):
                return None
            unset(change, "ended_at")
            change.require(f"{change.name('left')} = {change.value(before.total - before.counts.done)}")
            change.set("ended_at", change.value(now))
            change.set("results_size", change.value(results_size))
            for name in Counts.__dataclass_fields__:
                change.set(name, change.value(getattr(counts, name)))
            return replace(before, counts=counts, results_size=results_size, ended_at=now)

        return (await self._table.run(lambda items: step(items, (batch.project_id, batch.id), make)))[0]

    async def tidy(self, batch: Batch) -> None:
        await self._results.drop_all(batch.project_id, batch.id)

    async def archive(self, batch: Batch, now: float) -> None:
        def make(before: Batch, change: Change) -> Batch:
            change.set("archived_at", change.value(now))
            return replace(before, archived_at=now)

        await self._table.run(lambda items: step(items, (batch.project_id, batch.id), make))

    async def remove(self, batch: Batch) -> None:
        def close(before: Batch, change: Change) -> Batch | None:
            if before.ended_at is not None:
                return None
            change.set("ended_at", change.value(before.created_at))
            return replace(before, ended_at=before.created_at)

        # Nothing is kept of it from now on, so that nothing is left; and the item is the last to go, since it leads to the rest.
        await self._table.run(lambda items: step(items, (batch.project_id, batch.id), close))
        await self.tidy(batch)
        await self._table.run(lambda items: _remove(items, batch))

    async def due(self, now: float, limit: int) -> Sequence[Batch]:
        return await self._table.run(lambda items: _due(items, now, limit))


def _add(items: Items, batch: Batch) -> Batch | None:
    moment = moment_of(batch)
    entries = [] if moment is None else [entry_of(batch, moment)]
    try:
        items.transact(Put(where_of(batch.project_id, batch.id), written(batch)), *entries)
    except ConditionFailed as failed:
        if not failed.items.get(0):
            raise StoreFailed("The server's store refused a batch for no reason that it gave.") from failed
        return batch_from(failed.items[0])
    return None


def _page(items: Items, project_id: str, limit: int, pivot: str | None, *, older: bool) -> list[Batch]:
    first, last, beside = _FIRST, _LAST, ""
    if pivot is not None:
        item = items.get(where_of(project_id, pivot))
        if item is None or not item["is_ready"]:
            return []
        beside = listed_at(batch_from(item))[1]
        first, last = (first, beside) if older else (beside, last)
    # One more, because the bounds are read too.
    listed = items.query(f"batches#{project_id}", between=(first, last), limit=limit + 1, latest_first=older)
    wheres = [where_of(project_id, entry["of"]) for entry in listed if entry["sk"] != beside][:limit]
    found = items.get_many(wheres)
    page = [batch_from(found[where]) for where in wheres if where in found]
    return page if older else page[::-1]


def _remove(items: Items, batch: Batch) -> None:
    where = where_of(batch.project_id, batch.id)
    for _ in items.attempts():
        item = items.get(where)
        if item is None:
            return
        seen: dict[str, Value] = {"due": item["due"]} if "due" in item else {}
        entries = [Drop(entry_at(batch, int(item["due"])))] if "due" in item else []
        try:
            items.transact(Delete(where, seen), Drop(listed_at(batch_from(item))), *entries)
        except ConditionFailed:
            # Somebody has moved its entry.
            continue
        break


def _due(items: Items, now: float, limit: int) -> list[Batch]:
    # `$` comes after `#`, so it is behind everything of this moment.
    last = f"{max(0, int(now * 1000)):013}$"
    over: list[Batch] = []
    for shard in range(SHARDS):
        entries = items.query(f"batching#{shard}", between=(_FIRST, last), limit=limit - len(over))
        wheres = [where_of(entry["project_id"], entry["batch_id"]) for entry in entries]
        found = items.get_many(wheres)
        read = (batch_from(found[where]) for where in wheres if where in found)
        over += [batch for batch in read if batch.is_due(now)]
        if len(over) >= limit:
            break
    return over
