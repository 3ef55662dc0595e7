"""Knows how tasks wait in memory; see `pinnace.core.ports.WorkQueue` for what it promises."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pinnace.core.model.batches import Batch, Delivery, Task


@dataclass(slots=True)
class _Waiting:
    task: Task
    at: float = 0.0
    receipt: str = ""


class MemoryWorkQueue:
    """`WorkQueue` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._buried: list[Task] = []

    async def put(self, tasks: Sequence[Task]) -> None:
        with self._lock:
            self._waiting += [_Waiting(task) for task in tasks]
            self._waiting.sort(key=lambda one: one.task.item.number)

    async def take(self, limit: int, now: float, until: float) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        with self._lock:
            for waiting in self._waiting:
                if len(taken) == limit:
                    break
                if waiting.at <= now:
                    waiting.at, waiting.receipt = until, secrets.token_hex(8)
                    taken.append(Delivery(waiting.task, waiting.receipt))
        return taken

    async def hold(self, delivery: Delivery, now: float, until: float) -> None:
        await self.give_back(delivery, now, until)

    async def give_back(self, delivery: Delivery, now: float, at: float) -> None:  # noqa: ARG002 - the port's signature
        with self._lock:
            for waiting in self._waiting:
                if waiting.receipt == delivery.receipt:
                    waiting.at = at

    async def done(self, delivery: Delivery) -> None:
        with self._lock:
            self._waiting = [one for one in self._waiting if one.receipt != delivery.receipt]

    async def bury(self, delivery: Delivery) -> None:
        await self.done(delivery)
        with self._lock:
            self._buried.append(delivery.task)

    async def buried(self, limit: int) -> Sequence[Task]:
        with self._lock:
            return self._buried[-limit:]

    async def forget(self, batch: Batch) -> None:
        with self._lock:
            self._waiting = [one for one in self._waiting if one.task.batch_id != batch.id]
