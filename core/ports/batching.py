"""Knows what batches need, a store of what became of items and a queue of what is to be done; it must not know an adapter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from pinnace.core.model.batches import Batch, Claim, Counts, Delivery, ItemResult, Task


class Batches(Protocol):
    """Keeps batches, each within its project, and exactly one result for each item.

    Every operation is atomic between threads and processes. Time comes from the caller's clock. `project_id` and `batch_id`
    together name a batch; of one that is not there every answer is as of one that was never there.
    """

    async def add(self, batch: Batch) -> Batch | None:
        """Keep a new batch; where the id is taken, nothing happens, and what is there is given."""
        ...

    async def open(self, batch: Batch) -> None:
        """Everything of it is kept and queued: `total` is known, and it `is_ready` from now on."""

    async def find(self, project_id: str, batch_id: str) -> Batch | None: ...

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[Batch]:
        """Those that are ready, the newest first: the ones behind `after`, or the ones just in front of `before`."""
        ...

    async def cancel(self, project_id: str, batch_id: str, now: float) -> Batch | None:
        """Let nothing of it begin any more; one that has ended, or was cancelled before, stays as it is."""
        ...

    async def claim(self, task: Task, holder: str, now: float, until: float) -> Claim:
        """Be the one who runs an item, until a moment.

        `HELD` where somebody else is, `DONE` where there is a result, `CLOSED` where nothing of the batch may begin.
        """
        ...

    async def hold(self, task: Task, holder: str, until: float) -> bool:
        """Hold an item longer; False where `holder` does not hold it (any more)."""
        ...

    async def release(self, task: Task, holder: str, *, counts: bool = True) -> None:
        """Hold it no longer; this was a try, unless it does not count."""

    async def finish(self, task: Task, result: ItemResult) -> Batch | None:
        """Keep an item's result and count it: the first one stays.

        The batch as it is now; None where there was a result, or the batch has ended.
        """
        ...

    async def running(self, project_id: str, batch_id: str, now: float) -> int:
        """How many items somebody holds."""
        ...

    def results(self, project_id: str, batch_id: str) -> AsyncGenerator[tuple[int, ItemResult], None]:
        """The results that are kept, with their items' numbers, in their order."""
        ...

    async def end(self, batch: Batch, counts: Counts, results_size: int, now: float) -> bool:
        """The file of results is written: the batch has ended. False where it had before, or has other results by now."""
        ...

    async def tidy(self, batch: Batch) -> None:
        """Drop what was kept of its items; its file of results has all of it."""

    async def archive(self, batch: Batch, now: float) -> None:
        """Its results are gone."""

    async def remove(self, batch: Batch) -> None:
        """Leave nothing of it."""

    async def due(self, now: float, limit: int) -> Sequence[Batch]:
        """Batches of any project that somebody must look after.

        They `may_end`, or are past `kept_until` with results, or are past `ABANDONED` and were never ready.
        """
        ...


class WorkQueue(Protocol):
    """Hands tasks out, each to one at a time; one that is neither done nor given back in time is handed out again.

    It may, rarely, hand a task out twice, and tasks that were done once more: who takes one asks `Batches.claim`. Time comes
    from the caller's clock where the queue has none of its own, and is kept to the second. There is no order that somebody may
    count on; yet a batch that came late does not wait for all of a larger one before it where the queue can help it.
    """

    async def put(self, tasks: Sequence[Task]) -> None: ...

    async def take(self, limit: int, now: float, until: float) -> Sequence[Delivery]:
        """Up to `limit` tasks, which nobody else gets until a moment."""
        ...

    async def hold(self, delivery: Delivery, now: float, until: float) -> None:
        """Keep it longer."""

    async def give_back(self, delivery: Delivery, now: float, at: float) -> None:
        """Have it handed out again, from a moment on."""

    async def done(self, delivery: Delivery) -> None: ...

    async def bury(self, delivery: Delivery) -> None:
        """Put it where somebody can look at it, and hand it out no more."""

    async def buried(self, limit: int) -> Sequence[Task]:
        """What was buried, the latest last."""
        ...

    async def forget(self, batch: Batch) -> None:
        """Drop what waits of a batch, as far as the queue can."""
