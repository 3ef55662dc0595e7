"""Knows what a server says that has no queue for batches: that they need one; it must not know how a queue is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pinnace.core.errors import PartMissing
from pinnace.core.model.batches import Batch, Delivery, Task


class NoWorkQueue:
    """`WorkQueue` that takes nothing, and hands nothing out."""

    async def put(self, tasks: Sequence[Task]) -> None:
        raise PartMissing("Batches need a queue of SQS on this server; set aws.queue (PINNACE_AWS__QUEUE) to its URL.")

    async def take(self, limit: int, now: float, until: float) -> Sequence[Delivery]:
        # Who waits for something to come waits here, and does not look again and again.
        never: asyncio.Future[Sequence[Delivery]] = asyncio.get_running_loop().create_future()
        return await never

    async def hold(self, delivery: Delivery, now: float, until: float) -> None:
        return None

    async def give_back(self, delivery: Delivery, now: float, at: float) -> None:
        return None

    async def done(self, delivery: Delivery) -> None:
        return None

    async def bury(self, delivery: Delivery) -> None:
        return None

    async def buried(self, limit: int) -> Sequence[Task]:
        return []

    async def forget(self, batch: Batch) -> None:
        return None
