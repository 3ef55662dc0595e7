"""Knows what every run has in common: its deadline, its account, its failures and its end; it must not know a profile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from pinnace.core.adapters.claude import frames
from pinnace.core.adapters.claude.accounts import Account
from pinnace.core.adapters.claude.frames import ApiFailure, Frame, Result
from pinnace.core.adapters.claude.options import CliOptions
from pinnace.core.adapters.claude.pool import Pool
from pinnace.core.adapters.claude.process import CliProcess, new_id
from pinnace.core.adapters.claude.relay import NO_FURTHER_CALL
from pinnace.core.errors import CliBroke, PinnaceError, RunTimedOut, UpstreamFailed
from pinnace.core.model.run import Outcome, RunEvent, RunRequest
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.run")

#: How long the CLI may take to obey an interrupt, and to end a turn whose answer is complete; seconds.
OBEY = 0.9
ENDING = 3.0
#: Seconds within which the ends of processes that were killed together are noticed.
NOTICE = 0.05
#: How many processes may turn out to be dead before a call gives up.
DEAD_AT_MOST = 4
#: The CLI's own words around the model's message, which name commands and addresses that mean nothing to a caller.
_PREFIX = re.compile(r"^(Failed to authenticate\. )?(API Error: )?(Request rejected \(\d+\) · |\d{3} )?")
_SUFFIX = re.compile(
    r" This is a server-side issue, usually temporary.*$| Check the gateway set in .*$|https?://\S+", re.DOTALL
)


class BaseRun(ABC):
    """A run is a context manager and an iterator, as `pinnace.core.ports.Run` says."""

    def __init__(
        self, pool: Pool, cli: CliOptions, clock: Clock, request: RunRequest, deadline: float | None = None
    ) -> None:
        self.pool, self.cli, self.clock, self.request = pool, cli, clock, request
        self.account = Account()
        self.complete = False
        self.ended = False
        self.warm = False
        self.fallback: str | None = None
        self._process: CliProcess | None = None
        self._failure: ApiFailure | None = None
        self._deadline = clock.monotonic() + request.seconds if deadline is None else deadline

    @property
    def process(self) -> CliProcess:
        """The process that serves this run; there is one from `open` on."""
        if self._process is None:
            raise CliBroke("The run has no process.")
        return self._process

    @property
    def outcome(self) -> Outcome:
        return self.account.outcome(warm=self.warm, fallback=self.fallback)

    @property
    def stop_reason(self) -> str | None:
        return None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self.remaining()):
                await self._open_surely()
        except TimeoutError as error:
            self._drop()
            raise self._late() from error
        except BaseException:
            self._drop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if self.complete:
            self.close()
            return
        # The caller has left, or the run failed: stop the CLI before anything else, whoever else is being cancelled.
        stopping = asyncio.ensure_future(self._stop())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _open_surely(self) -> None:
        """Open; again where the process died before it was told anything that matters."""
        for _ in range(DEAD_AT_MOST):
            try:
                await self.open()
            except CliBroke:
                await self._give_up_process()
            else:
                return
        await self.open()

    async def rebind(self, reason: str, initialize: Mapping[str, Any]) -> None:
        """A spare refused its claim: start a process in its place that is bound to this call from the start."""
        self.fallback = reason.partition(":")[0].strip()
        self.pool.count("fallback")
        log.warning("a spare refused its claim; starting a process instead", extra={"reason": self.fallback})
        self._process = await self.pool.replace(self.process, initialize)

    async def _give_up_process(self) -> None:
        log.warning("a process died before its call began; taking another one")
        self.pool.count("broken")
        self._drop()
        # All of a pool may have been killed at once, and each looks alive until the system has told of its end.
        await asyncio.sleep(NOTICE)

    async def first(self) -> Frame:
        """Take a run's first frame; where the process died before it called the model, open again and take that one's.

        A process that was killed while it was unused looks alive until its end has been noticed, and all of a pool may have
        been killed at once.
        """
        for _ in range(DEAD_AT_MOST):
            try:
                return await self.take()
            except CliBroke:
                if self.process.alive or self.process.channel.calls or not self.cli.credential.relayed:
                    raise
            await self._give_up_process()
            await self._open_surely()
        return await self.take()

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self.events()

    @abstractmethod
    async def open(self) -> None:
        """Get a process and put the request to it."""

    @abstractmethod
    def events(self) -> AsyncIterator[RunEvent]:
        """Yield the answer; set `complete` when all of it was there."""

    @abstractmethod
    def close(self) -> None:
        """The answer is complete: give the process back, hold it or retire it."""

    @abstractmethod
    async def recycle(self) -> bool:
        """Make the process as new after its turn has ended; False where that cannot be."""

    def remaining(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._deadline - self.clock.monotonic())

    async def take(self) -> Frame:
        """Take the next frame within the deadline.

        Raises:
            RunTimedOut: there is no time left.
            CliBroke: the CLI broke or fell silent.
        """
        remaining = self.remaining()
        try:
            frame = await self.process.take(min(remaining, self.cli.silence))
        except CliBroke:
            self.pool.count("broken")
            if self.process.alive and remaining <= self.cli.silence:
                raise self._late() from None
            raise
        if isinstance(frame, ApiFailure) and NO_FURTHER_CALL not in frame.text:
            self._failure = frame
        return frame

    def failed(self, result: Result) -> PinnaceError:
        """Why a run ended without a complete answer."""
        seen = self.process.channel.failure
        if seen is not None:
            return seen
        if self._failure is not None:
            message = plain(self._failure.text)
            return UpstreamFailed(message, status=self._failure.status, kind=self._failure.kind)
        if self.account.calls:
            return UpstreamFailed("The model's API broke off in the middle of the answer.", status=None)
        log.error("the CLI ended a run without an answer", extra={"subtype": result.subtype, "reason": result.reason})
        return CliBroke("The Claude Code CLI ended the run without an answer.")

    def settle(self, result: Result) -> None:
        """Take the CLI's account of a run that has ended."""
        self.ended = True
        self.settle_totals(result.raw)

    def settle_totals(self, totals: Mapping[str, Any]) -> None:
        """Take the CLI's totals, which add up over the process's life."""
        self.account.settle(totals, self.process.totals)
        self.process.totals = totals

    async def _stop(self) -> None:
        process = self.process
        process.channel.close()
        reusable = False
        if process.alive:
            with contextlib.suppress(CliBroke, TimeoutError):
                async with asyncio.timeout(OBEY):
                    if not self.ended:
                        await self._interrupt(process)
                    reusable = await self.recycle()
        self._process = None
        self.pool.give_back(process, reusable=reusable)

    async def _interrupt(self, process: CliProcess) -> None:
        process.send(frames.control(new_id(), "interrupt"))
        while not isinstance(frame := await process.take(OBEY), Result):
            if isinstance(frame, frames.StreamEvent):
                self.account.see(frame.event, frame.parent)
        self.settle(frame)

    def _drop(self) -> None:
        if self._process is not None:
            self.pool.give_back(self._process, reusable=False)
            self._process = None

    def _late(self) -> RunTimedOut:
        seconds = self.request.seconds
        return RunTimedOut(f"The run took longer than the {seconds:g} seconds that it may.", seconds=seconds)


def plain(text: str) -> str:
    """The model's own message out of the CLI's sentence about it."""
    words = _SUFFIX.sub("", _PREFIX.sub("", text)).strip()
    return words or "The model's API failed."
