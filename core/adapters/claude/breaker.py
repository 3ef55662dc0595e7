"""Knows when a credential's upstream is left alone because it keeps failing; it must not know a run or how one fails.

Own code, because the libraries for it read the time themselves and let every waiting call through at once when they try
again, which is what an upstream that has just come back does not need (`docs/decisions/0009-retries-and-breaker.md`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from pinnace.core.errors import Overloaded
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.breaker")

#: Seconds after which a call may ask again while another one tries the upstream.
SOON = 1.0


class Circuit(StrEnum):
    """Whether calls go to the upstream."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """What a run says about the upstream; a run that its caller left says nothing."""

    GOOD = "good"
    BAD = "bad"
    NONE = "none"


class Breaker:
    """A circuit breaker (Nygard, *Release It!*): closed, open after `failures` in a row, half-open after `pause` seconds.

    Half-open it lets one call through, whose verdict closes the circuit or opens it again. `failures` of 0 never opens.
    """

    def __init__(self, clock: Clock, *, failures: int = 5, pause: float = 30.0) -> None:
        self._clock, self._failures, self._pause = clock, failures, pause
        self._in_a_row = 0
        self._opened: float | None = None
        self._trying: object | None = None

    @property
    def circuit(self) -> Circuit:
        if self._opened is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._left() > 0 else Circuit.HALF_OPEN

    def admit(self) -> Callable[[Verdict], None]:
        """Let a call through; what it gives takes the call's verdict, and counts the first one alone.

        Raises:
            Overloaded: the circuit is open, or another call is trying already.
        """
        circuit, ticket = self.circuit, object()
        if circuit is Circuit.OPEN:
            raise _refusal(self._left())
        if circuit is Circuit.HALF_OPEN:
            if self._trying is not None:
                raise _refusal(SOON)
            self._trying = ticket
        waiting = [ticket]
        return lambda verdict: self._hear(waiting.pop(), verdict) if waiting else None

    def _left(self) -> float:
        return 0.0 if self._opened is None else self._opened + self._pause - self._clock.monotonic()

    def _hear(self, ticket: object, verdict: Verdict) -> None:
        trial = self._trying is ticket
        if trial:
            self._trying = None
        if verdict is Verdict.GOOD:
            self._in_a_row = 0
            # A call from before the circuit opened proves nothing about now.
            if trial:
                self._opened = None
                log.warning("the upstream answers again", extra={"circuit": Circuit.CLOSED.value})
        elif verdict is Verdict.BAD:
            self._in_a_row += 1
            if trial or (self._opened is None and 0 < self._failures <= self._in_a_row):
                self._opened = self._clock.monotonic()
                fields = {"circuit": Circuit.OPEN.value, "failures": self._in_a_row, "pause": self._pause}
                log.error("the upstream keeps failing and is left alone", extra=fields)


def _refusal(seconds: float) -> Overloaded:
    return Overloaded("The model's API keeps failing, so it is left alone for a while; try again.", retry_after=seconds)
