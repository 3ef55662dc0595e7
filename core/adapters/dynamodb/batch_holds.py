"""Knows who runs an item of a batch, and how one result of it counts; it must not know where a result's bytes lie.

::

    pk                    sk        holds
    holds#PROJECT#ID      NUMBER    holder, held_until, tries, of an item that was begun and has no result
    results#PROJECT#ID    NUMBER    a result (`batch_results`)

Whoever begins an item asks in one transaction that its batch takes items and that there is no result; whoever ends it puts the
result, counts it in the batch and drops the holding in one. `left` says which result is the last: it moves the batch's entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from pinnace.core.adapters.dynamodb.batch_items import batch_from, counted, step, unset, where_of
from pinnace.core.adapters.dynamodb.items import Ask, Change, ConditionFailed, Drop, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.model.batches import Batch, Claim, ClaimState, ItemResult, Task

_BATCH, _RESULT, _HOLD = range(3)


def holds_of(project_id: str, batch_id: str) -> str:
    """The `pk` of who holds a batch's items."""
    return f"holds#{project_id}#{batch_id}"


def results_of(project_id: str, batch_id: str) -> str:
    """The `pk` of a batch's results."""
    return f"results#{project_id}#{batch_id}"


def numbered(number: int) -> str:
    """The `sk` of an item, in the order of the numbers."""
    return f"{number:012}"


def claim(items: Items, task: Task, holder: str, now: float, until: float) -> Claim:
    """Begin an item, if it may begin."""
    seen: Item | None = None
    for _ in items.attempts():
        try:
            items.transact(_taking(task, now), _no_result(task), _holding(task, holder, until, seen))
        except ConditionFailed as failed:
            refused = _refused(failed, holder, now)
            if refused is not None:
                return refused
            # Whoever held it holds it no more.
            seen = failed.items[_HOLD] or None
            continue
        return Claim(ClaimState.TAKEN, 1 if seen is None else int(seen["tries"]) + 1)
    raise AssertionError("attempts() ends by raising")


def hold(items: Items, task: Task, holder: str, until: float) -> bool:
    """Hold an item longer."""
    change = _held(task, holder)
    change.set("held_until", change.value(until))
    return _changed(items, change)


def release(items: Items, task: Task, holder: str, *, counts: bool) -> None:
    """Hold an item no longer."""
    change = _held(task, holder)
    change.set("held_until", change.value(0))
    change.remove("holder")
    if not counts:
        change.add("tries", -1)
    _changed(items, change)


def finish(items: Items, task: Task, result: ItemResult, values: Mapping[str, Value]) -> Batch | None:
    """Keep a result, whose item holds `values`, and count it, if it is the first."""
    where, put, drop = where_of(task.project_id, task.batch_id), Put(_result(task), values), Drop(_hold(task))
    change = Change(where)
    _count(change, result)
    # The last one does more.
    change.require(f"{change.name('left')} > {change.value(1)}")
    try:
        items.transact(change, put, drop)
    except ConditionFailed as failed:
        batch = failed.items.get(_BATCH)
        if _RESULT in failed.items or not batch or "ended_at" in batch:
            return None
    else:
        item = items.get(where)
        return None if item is None else batch_from(item)

    def last(before: Batch, change: Change) -> Batch | None:
        if before.ended_at is not None:
            return None
        _count(change, result)
        left = before.total - before.counts.done if before.is_ready else -before.counts.done
        change.require(f"{change.name('left')} = {change.value(left)}")
        return counted(before, result.verdict, result.microusd)

    is_kept, after = step(items, (task.project_id, task.batch_id), last, lambda _batch: [put, drop])
    return after if is_kept else None


def running(items: Items, project_id: str, batch_id: str, now: float) -> int:
    """How many items somebody holds."""
    return sum(float(item["held_until"]) > now for item in items.query(holds_of(project_id, batch_id)))


def _hold(task: Task) -> Where:
    return holds_of(task.project_id, task.batch_id), numbered(task.item.number)


def _result(task: Task) -> Where:
    return results_of(task.project_id, task.batch_id), numbered(task.item.number)


def _taking(task: Task, now: float) -> Ask:
    """Ask that a batch takes items, as `Batch.takes` says."""
    change = Change(where_of(task.project_id, task.batch_id))
    change.require(f"{change.name('is_ready')} = {change.value(1)}")
    change.require(f"{change.name('expires_at')} > {change.value(now)}")
    unset(change, "cancel_at")
    unset(change, "ended_at")
    return Ask(change)


def _no_result(task: Task) -> Ask:
    change = Change(_result(task))
    change.require_no_item()
    return Ask(change)


def _holding(task: Task, holder: str, until: float, seen: Item | None) -> Put | Change:
    if seen is None:
        return Put(_hold(task), {"holder": holder, "held_until": until, "tries": 1})
    change = Change(_hold(task))
    for attribute in ("held_until", "tries"):
        change.require(f"{change.name(attribute)} = {change.value(seen[attribute])}")
    change.set("holder", change.value(holder))
    change.set("held_until", change.value(until))
    change.add("tries", 1)
    return change


def _refused(failed: ConditionFailed, holder: str, now: float) -> Claim | None:
    """Why an item does not begin; None where it may be tried again."""
    if _BATCH in failed.items:
        return Claim(ClaimState.CLOSED)
    if _RESULT in failed.items:
        return Claim(ClaimState.DONE)
    held = failed.items[_HOLD]
    # An answer was lost, and botocore has asked again.
    if held.get("holder") == holder:
        return Claim(ClaimState.TAKEN, int(held["tries"]))
    return Claim(ClaimState.HELD) if float(held.get("held_until", 0)) > now else None


def _held(task: Task, holder: str) -> Change:
    change = Change(_hold(task))
    change.require(f"{change.name('holder')} = {change.value(holder)}")
    return change


def _count(change: Change, result: ItemResult) -> None:
    unset(change, "ended_at")
    change.add(result.verdict.value, 1)
    change.add("microusd", result.microusd)
    change.add("left", -1)


def _changed(items: Items, change: Change) -> bool:
    try:
        items.change(change)
    except ConditionFailed:
        return False
    return True
