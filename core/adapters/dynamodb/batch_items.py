"""Knows the item of a batch, its place in its project's list, and when somebody must look after it; it must not know its items.

::

    pk                  sk           holds
    batch#PROJECT#ID    batch        document: what never changes; times, counts, left: how many are not done, due
    batches#PROJECT     MOMENT#ID    the id of one that is ready; the moment is in microseconds
    batching#0..3       MOMENT#...   project_id and batch_id; the moment is in milliseconds

`due` is the moment of the entry in `batching`, from which on `Batch.is_due` says yes. Each step of a batch that makes another
moment of it moves the entry in the same transaction, so that nobody reads what is not due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import orjson

from pinnace.core.adapters.dynamodb.items import Action, Change, ConditionFailed, Drop, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.model.batches import ABANDONED, Batch, Counts, Verdict
from pinnace.core.model.run import Profile

#: Over how many `pk` the entries are spread: one takes about 1,000 writes a second, and a batch makes ten in its life.
SHARDS = 4
#: Milliseconds, of one length until the year 2286.
_LAST = 10**13 - 1
_TIMES = ("cancel_at", "ended_at", "archived_at")
_COUNTS = tuple(verdict.value for verdict in Verdict)


def where_of(project_id: str, batch_id: str) -> Where:
    """Where a batch's item is."""
    return f"batch#{project_id}#{batch_id}", "batch"


def listed_at(batch: Batch) -> Where:
    """Where the entry of a batch is in its project's list."""
    return f"batches#{batch.project_id}", f"{int(batch.created_at * 1_000_000):017}#{batch.id}"


def moment_of(batch: Batch) -> int | None:
    """When somebody must look after a batch, in milliseconds; None where nobody must any more."""
    if not batch.is_ready:
        moment = batch.created_at + ABANDONED
    elif batch.ended_at is not None:
        if batch.archived_at is not None:
            return None
        moment = batch.kept_until
    else:
        is_over = batch.cancel_at is not None or batch.counts.done >= batch.total
        moment = batch.created_at if is_over else batch.expires_at
    return max(0, min(int(moment * 1000), _LAST))


def entry_at(batch: Batch, moment: int) -> Where:
    """Where the entry of a batch is that says when it is due."""
    name = f"{batch.project_id}#{batch.id}"
    return f"batching#{crc32(name.encode()) % SHARDS}", f"{moment:013}#{name}"


def entry_of(batch: Batch, moment: int) -> Put:
    """The entry itself."""
    return Put(entry_at(batch, moment), {"project_id": batch.project_id, "batch_id": batch.id})


def written(batch: Batch) -> dict[str, Value]:
    """A new batch as it is kept."""
    fixed = {
        "project_id": batch.project_id,
        "id": batch.id,
        "key_id": batch.key_id,
        "profile": batch.profile.value,
        "betas": batch.betas,
        "api_version": batch.api_version,
        "fingerprint": batch.fingerprint,
    }
    values: dict[str, Value] = {
        "document": orjson.dumps(fixed).decode(),
        "created_at": batch.created_at,
        "expires_at": batch.expires_at,
        "is_ready": int(batch.is_ready),
        "total": batch.total,
        "left": batch.total if batch.is_ready else 0,
    }
    moment = moment_of(batch)
    return values if moment is None else values | {"due": moment}


def batch_from(item: Item) -> Batch:
    """A batch as it was read."""
    fixed: dict[str, Any] = orjson.loads(item["document"])
    fixed |= {"profile": Profile(fixed["profile"]), "betas": tuple(fixed["betas"])}
    fixed |= {name: float(item[name]) for name in _TIMES if name in item}
    return Batch(
        **fixed,
        created_at=float(item["created_at"]),
        expires_at=float(item["expires_at"]),
        total=int(item["total"]),
        is_ready=bool(item["is_ready"]),
        counts=Counts(**{name: int(item.get(name, 0)) for name in _COUNTS}),
        microusd=int(item.get("microusd", 0)),
        results_size=int(item.get("results_size", 0)),
    )


def unset(change: Change, attribute: str) -> None:
    """Ask that an attribute is not there."""
    change.require(f"attribute_not_exists({change.name(attribute)})")


def step(
    items: Items,
    batch: tuple[str, str],
    make: Callable[[Batch, Change], Batch | None],
    also: Callable[[Batch], Sequence[Action]] = lambda _batch: (),
) -> tuple[bool, Batch | None]:
    """Take a batch, named by its project's id and its own, a step on, in one transaction, and its entry with it.

    `make` writes into the change what becomes of the batch, and what must hold, and gives what it is then; None where there is
    nothing to do. `also` is done with it, or nothing is. Gives whether the step was taken, and the batch as it is now.
    """
    where = where_of(*batch)
    for _ in items.attempts():
        item = items.get(where)
        if item is None:
            return False, None
        before, change = batch_from(item), Change(where)
        change.require_item()
        after = make(before, change)
        if after is None:
            return False, before
        actions = [change, *_moving(change, after, item), *also(before)]
        try:
            items.transact(*actions)
        except ConditionFailed as failed:
            # Its own item may have changed in the meantime, and its entry with it; what else failed will fail again.
            if 0 not in failed.items:
                return False, before
            continue
        return True, after
    raise AssertionError("attempts() ends by raising")


def _moving(change: Change, after: Batch, item: Item) -> list[Action]:
    """Put the entry where it belongs now."""
    old, new = item.get("due"), moment_of(after)
    if old == new:
        return []
    if old is None:
        unset(change, "due")
    else:
        change.require(f"{change.name('due')} = {change.value(old)}")
    if new is None:
        change.remove("due")
    else:
        change.set("due", change.value(new))
    gone = [] if old is None else [Drop(entry_at(after, int(old)))]
    return [*gone, *([] if new is None else [entry_of(after, new)])]


def counted(batch: Batch, verdict: Verdict, microusd: int) -> Batch:
    """A batch with one more item that has a result."""
    counts = replace(batch.counts, **{verdict.value: getattr(batch.counts, verdict.value) + 1})
    return replace(batch, counts=counts, microusd=batch.microusd + microusd)
