"""Knows which live processes hold which conversations, and for how long; it must not know what a conversation is."""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from pinnace.core.adapters.claude.pool import Pool
from pinnace.core.adapters.claude.process import CliProcess


class Held(Protocol):
    """Anything that has a process."""

    @property
    def process(self) -> CliProcess: ...


T = TypeVar("T", bound=Held)


class Holding(Generic[T]):
    """Conversations by fingerprint. What is not taken within `seconds` is given up, and its process ends."""

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds
        self._held: dict[str, tuple[T, asyncio.TimerHandle]] = {}

    def keep(self, name: str, held: T) -> None:
        """Keep a conversation for its next turn; the later of two with one name stays."""
        self._give_up(name)
        if self._seconds <= 0:
            self._pool.give_back(held.process, reusable=False)
            return
        timer = asyncio.get_running_loop().call_later(self._seconds, self._give_up, name)
        self._held[name] = (held, timer)
        self._pool.hold(held.process, lambda: self._give_up(name))

    def take(self, name: str) -> T | None:
        """Take a conversation whose process still lives."""
        held, timer = self._held.pop(name, (None, None))
        if timer:
            timer.cancel()
        if held is not None and not held.process.alive:
            self._pool.give_back(held.process, reusable=False)
            return None
        return held

    def _give_up(self, name: str) -> None:
        held = self.take(name)
        if held is not None:
            self._pool.give_back(held.process, reusable=False)
