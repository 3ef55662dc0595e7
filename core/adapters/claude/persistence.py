"""Knows how a run is made again where it failed before its first event, and what it says about the upstream.

It must not know a profile. Once an event has been seen nothing is made again: a caller would read two beginnings.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from pinnace.core.adapters.claude.breaker import Breaker, Verdict
from pinnace.core.adapters.claude.run import BaseRun
from pinnace.core.errors import PinnaceError, RunTimedOut, UpstreamFailed
from pinnace.core.model.run import Outcome, RunEvent
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.run")

#: Statuses under 500 that pass; the official SDKs try the same ones again.
PASSING = frozenset([408, 409, 429])
FAILING = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is made again, and how long it waits: `first` seconds doubled each time, up to `longest`.

    A random share of the wait is waited ("full jitter": Brooker, *Exponential Backoff And Jitter*), unless the upstream says
    how long; where it asks for more than `longest`, the caller is told instead.
    """

    retries: int = 2
    first: float = 0.5
    longest: float = 5.0


class PersistentRun:
    """A run behind a breaker; `make` gives a new one each time, of which all end at `deadline` (monotonic seconds)."""

    def __init__(
        self, make: Callable[[], BaseRun], deadline: float, clock: Clock, breaker: Breaker, patience: Patience
    ) -> None:
        self._make, self._deadline, self._clock = make, deadline, clock
        self._breaker, self._patience = breaker, patience
        self._run = make()
        self._entered = self._asked = self._begun = False
        self._report: Callable[[Verdict], None] | None = None

    @property
    def outcome(self) -> Outcome:
        return self._run.outcome

    @property
    def stop_reason(self) -> str | None:
        return self._run.stop_reason

    async def __aenter__(self) -> Self:
        self._report = self._breaker.admit()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._leave(kind, error, trace)
        finally:
            if self._report is not None:
                self._report(self._verdict(error))

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self._events()

    async def _events(self) -> AsyncGenerator[RunEvent, None]:
        first, rest = await self._begin()
        if first is None:
            return
        self._begun = True
        yield first
        async for event in rest:
            yield event

    async def _begin(self) -> tuple[RunEvent | None, AsyncIterator[RunEvent]]:
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._worth_it),
            stop=self._is_enough,
            wait=self._wait,
            before_sleep=_tell,
            reraise=True,
        )
        return await retrying(self._attempt)

    async def _attempt(self) -> tuple[RunEvent | None, AsyncIterator[RunEvent]]:
        if self._asked:
            self._run = self._make()
        await self._run.__aenter__()
        self._entered = self._asked = True
        events = aiter(self._run)
        try:
            return await anext(events, None), events
        except PinnaceError as error:
            # Before the wait, so that no process waits with it.
            await self._leave(type(error), error, None)
            raise

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            self._entered = False
            await self._run.__aexit__(kind, error, trace)

    def _worth_it(self, error: BaseException) -> bool:
        """Whether another attempt may end better, and nothing was used by this one."""
        if not isinstance(error, UpstreamFailed) or self._run.outcome.usage:
            return False
        passing = error.status is None or error.status in PASSING or error.status >= FAILING
        return passing and (error.retry_after or 0.0) <= self._patience.longest

    def _is_enough(self, state: RetryCallState) -> bool:
        late = self._clock.monotonic() + self._longest_wait(state) >= self._deadline
        return late or state.attempt_number > self._patience.retries

    def _wait(self, state: RetryCallState) -> float:
        told = _told(state)
        if told is not None:
            return told
        return wait_random_exponential(multiplier=self._patience.first, max=self._patience.longest)(state)

    def _longest_wait(self, state: RetryCallState) -> float:
        told = _told(state)
        return (
            min(self._patience.longest, self._patience.first * 2 ** (state.attempt_number - 1))
            if told is None
            else told
        )

    def _verdict(self, error: BaseException | None) -> Verdict:
        if isinstance(error, UpstreamFailed):
            refused = error.status is not None and error.status < FAILING
            return Verdict.GOOD if refused else Verdict.BAD
        if isinstance(error, RunTimedOut) and self._asked and not self._begun:
            return Verdict.BAD
        if isinstance(error, PinnaceError) or not self._run.complete:
            return Verdict.GOOD if self._begun else Verdict.NONE
        return Verdict.GOOD


def _told(state: RetryCallState) -> float | None:
    """The seconds that the upstream asked to wait for."""
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, UpstreamFailed) else None


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    status = error.status if isinstance(error, UpstreamFailed) else None
    log.warning("a call is made again", extra={"attempt": state.attempt_number, "status": status})
