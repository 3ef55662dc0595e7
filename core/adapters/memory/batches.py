"""Knows how batches are kept in memory; see `pinnace.core.ports.Batches` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

from pinnace.core.model.batches import Batch, Claim, ClaimState, Counts, ItemResult, Task


@dataclass(slots=True)
class _Held:
    """An item: who holds it until when, how often it was begun, and its result."""

    holder: str | None = None
    until: float = 0.0
    tries: int = 0
    result: ItemResult | None = None


@dataclass(slots=True)
class _Kept:
    batch: Batch
    items: dict[int, _Held] = field(default_factory=dict)


class MemoryBatches:
    """`Batches` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def add(self, batch: Batch) -> Batch | None:
        with self._lock:
            present = self._kept.setdefault((batch.project_id, batch.id), _Kept(batch)).batch
            return None if present is batch else present

    async def open(self, batch: Batch) -> None:
        with self._lock:
            kept = self._kept.get((batch.project_id, batch.id))
            if kept is not None:
                kept.batch = replace(kept.batch, total=batch.total, is_ready=True)

    async def find(self, project_id: str, batch_id: str) -> Batch | None:
        with self._lock:
            kept = self._kept.get((project_id, batch_id))
            return None if kept is None else kept.batch

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[Batch]:
        with self._lock:
            found = [kept.batch for kept in self._kept.values() if kept.batch.project_id == project_id]
        found = sorted(
            (batch for batch in found if batch.is_ready), key=lambda one: (one.created_at, one.id), reverse=True
        )
        ids = [batch.id for batch in found]
        if before is not None:
            end = ids.index(before) if before in ids else 0
            return found[max(0, end - limit) : end]
        start = 0 if after is None else ids.index(after) + 1 if after in ids else len(ids)
        return found[start : start + limit]

    async def cancel(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        with self._lock:
            kept = self._kept.get((project_id, batch_id))
            if kept is None:
                return None
            if kept.batch.cancel_at is None and kept.batch.ended_at is None:
                kept.batch = replace(kept.batch, cancel_at=now)
            return kept.batch

    async def claim(self, task: Task, holder: str, now: float, until: float) -> Claim:
        with self._lock:
            kept = self._kept.get((task.project_id, task.batch_id))
            if kept is None or not kept.batch.takes(now):
                return Claim(ClaimState.CLOSED)
            item = kept.items.setdefault(task.item.number, _Held())
            if item.result is not None:
                return Claim(ClaimState.DONE)
            if item.until > now:
                return Claim(ClaimState.HELD)
            item.holder, item.until, item.tries = holder, until, item.tries + 1
            return Claim(ClaimState.TAKEN, item.tries)

    async def hold(self, task: Task, holder: str, until: float) -> bool:
        with self._lock:
            item = self._held(task, holder)
            if item is not None:
                item.until = until
            return item is not None

    async def release(self, task: Task, holder: str, *, counts: bool = True) -> None:
        with self._lock:
            item = self._held(task, holder)
            if item is not None:
                item.holder, item.until, item.tries = None, 0.0, item.tries - (not counts)

    async def finish(self, task: Task, result: ItemResult) -> Batch | None:
        with self._lock:
            kept = self._kept.get((task.project_id, task.batch_id))
            if kept is None or kept.batch.ended_at is not None:
                return None
            item = kept.items.setdefault(task.item.number, _Held())
            if item.result is not None:
                return None
            item.result, item.holder, item.until = result, None, 0.0
            counts = kept.batch.counts
            counts = replace(counts, **{result.verdict.value: getattr(counts, result.verdict.value) + 1})
            kept.batch = replace(kept.batch, counts=counts, microusd=kept.batch.microusd + result.microusd)
            return kept.batch

    async def running(self, project_id: str, batch_id: str, now: float) -> int:
        with self._lock:
            kept = self._kept.get((project_id, batch_id))
            return 0 if kept is None else sum(item.until > now for item in kept.items.values())

    async def results(self, project_id: str, batch_id: str) -> AsyncGenerator[tuple[int, ItemResult], None]:
        with self._lock:
            kept = self._kept.get((project_id, batch_id))
            items = [] if kept is None else sorted(kept.items.items())
        for number, item in items:
            if item.result is not None:
                yield number, item.result

    async def end(self, batch: Batch, counts: Counts, results_size: int, now: float) -> bool:
        with self._lock:
            kept = self._kept.get((batch.project_id, batch.id))
            if kept is None or kept.batch.ended_at is not None or not kept.batch.counts.same_results(counts):
                return False
            kept.batch = replace(kept.batch, counts=counts, results_size=results_size, ended_at=now)
            return True

    async def tidy(self, batch: Batch) -> None:
        with self._lock:
            kept = self._kept.get((batch.project_id, batch.id))
            if kept is not None:
                kept.items.clear()

    async def archive(self, batch: Batch, now: float) -> None:
        with self._lock:
            kept = self._kept.get((batch.project_id, batch.id))
            if kept is not None:
                kept.batch = replace(kept.batch, archived_at=now)

    async def remove(self, batch: Batch) -> None:
        with self._lock:
            self._kept.pop((batch.project_id, batch.id), None)

    async def due(self, now: float, limit: int) -> Sequence[Batch]:
        with self._lock:
            found = [kept.batch for kept in self._kept.values()]
        return [batch for batch in found if batch.is_due(now)][:limit]

    def _held(self, task: Task, holder: str) -> _Held | None:
        kept = self._kept.get((task.project_id, task.batch_id))
        item = None if kept is None else kept.items.get(task.item.number)
        return item if item is not None and item.holder == holder and item.result is None else None
