"""Knows how items are taken from the queue and run at once, so many at a time; it must not know how one is run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from pinnace.core.errors import StoreFailed
from pinnace.core.model.batches import Delivery
from pinnace.core.ports import Clock, WorkQueue
from pinnace.core.usecases.batch_work import LEASE, BatchWorker

log = logging.getLogger("pinnace.batches")

#: Seconds between two looks into an empty queue, which others may fill too.
PAUSE = 1.0


@dataclass(slots=True)
class BatchWorkers:
    """Workers of one process, `at_once` at most."""

    worker: BatchWorker
    queue: WorkQueue
    clock: Clock
    at_once: int
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _taking: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There is something in the queue, or somebody is free."""
        self._news.set()

    def start(self) -> None:
        """Take and run items from now on."""
        self._taking = asyncio.create_task(self._take_forever())

    async def aclose(self, grace: float) -> None:
        """Take no more, let what runs end within so many seconds, and give the rest back."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _take_forever(self) -> None:
        while self.at_once > 0:
            self._news.clear()
            if not await self._take():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE):
                        await self._news.wait()

    async def _take(self) -> int:
        free = self.at_once - len(self._running)
        if free <= 0:
            return 0
        now = self.clock.now()
        try:
            deliveries = await self.queue.take(free, now, now + LEASE)
        except Exception:
            # Whatever it is, the next look may end better; a server that took nothing any more would look well.
            log.exception("the queue of batches cannot be read")
            return 0
        for delivery in deliveries:
            task = asyncio.create_task(self._process(delivery))
            self._running.add(task)
            task.add_done_callback(self._ended)
        return len(deliveries)

    async def _process(self, delivery: Delivery) -> None:
        try:
            await self.worker.process(delivery)
        except StoreFailed:
            log.exception("an item of a batch will be handed out again", extra={"batch": delivery.task.batch_id})
        except Exception:
            log.exception("unexpected error in a batch", extra={"batch": delivery.task.batch_id})

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.wake()
