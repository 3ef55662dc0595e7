"""Knows the one clock of the tests that have no time to wait; it must not know what is timed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class HandClock:
    """`Clock` that stands where it is put: `time` is both the seconds since the epoch and the monotonic ones."""

    time: float = 1_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time
