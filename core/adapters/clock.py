"""Knows the machine's time; it must not know what anybody does with it."""

from __future__ import annotations

import time


class SystemClock:
    """The `Clock` of a running server."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
