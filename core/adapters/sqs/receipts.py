"""Knows until when the receipts of messages are good, by this machine's own clock; it must not know what is done with one.

SQS says itself that a receipt may still delete a message that another has been given since. So a receipt names the moment at
which it is over, unless that was put off, and is good for nothing from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Receipts:
    """The receipts that one process was given; `monotonic` is its clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.now = monotonic
        self._lock = threading.Lock()
        self._moved: dict[str, float] = {}

    def made(self, handle: str, until: float) -> str:
        """The receipt for a message that SQS knows by a handle."""
        return f"{until!r} {handle}"

    def handle(self, receipt: str) -> str | None:
        """What SQS knows the message by; None where the receipt is over."""
        now = self.now()
        with self._lock:
            # What is over by its own moment is so without being remembered.
            for one in [one for one, until in self._moved.items() if until <= now and _moment(one) <= now]:
                del self._moved[one]
            is_good = self._moved.get(receipt, _moment(receipt)) > now
        return receipt.rpartition(" ")[2] if is_good else None

    def move(self, receipt: str, until: float) -> None:
        """Let it be over at another moment."""
        with self._lock:
            self._moved[receipt] = until


def _moment(receipt: str) -> float:
    # A handle that came another way says nothing of it; none has a space.
    return float(receipt.rpartition(" ")[0] or "inf")
