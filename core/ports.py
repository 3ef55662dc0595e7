"""Knows what the use cases need from the world, each need a Protocol with its contract in prose; it must not know an adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.run import Outcome, PoolStats, RunEvent, RunRequest


class Clock(Protocol):
    """Time, so that a test can hold it still.

    `now` is seconds since the epoch (UTC), for what is shown and stored; `monotonic` is seconds from an unknown start that
    never go back, for durations.
    """

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class Run(Protocol):
    """One call in progress.

    Iterating yields events as the model produces them, each once, in order, and ends when the answer is complete. It
    raises one of `pinnace.core.errors` where the run fails; what was yielded before stays valid. `outcome` may be read
    once iteration has ended or been left: it counts what was used, whether or not the run was carried to its end.
    """

    def __aiter__(self) -> AsyncIterator[RunEvent]: ...

    @property
    def outcome(self) -> Outcome: ...

    @property
    def stop_reason(self) -> str | None:
        """Why the run ended, where the model's own last `stop_reason` does not say it."""
        ...


class RunContext(AbstractAsyncContextManager[Run, None], Protocol):
    """A run before it is entered; its `outcome` may be read after it has been left, also when entering it failed."""

    @property
    def outcome(self) -> Outcome: ...


class AgentRunner(Protocol):
    """Runs calls on the Claude Code CLI.

    `run` is entered before the first event is asked for; it may wait for a process and raises `Overloaded` when too many
    wait. Leaving the context before the end stops the CLI within a second, and never raises. A process that served one
    project never serves another. `prepare` and `aclose` are idempotent; after `aclose` no child process is left.
    """

    def run(self, request: RunRequest) -> RunContext: ...

    async def prepare(self) -> None:
        """Park spares, so that the first call finds one."""

    async def models(self) -> list[ModelInfo]:
        """Name the models that the CLI knows, newest first."""
        ...

    async def version(self) -> str:
        """Give the CLI's version (`2.1.329`); raises `CliUnavailable` where it does not run."""
        ...

    def stats(self) -> PoolStats: ...

    async def aclose(self, grace: float) -> None:
        """Let running calls end for `grace` seconds, then stop everything."""


class TokenCounter(Protocol):
    """Counts the tokens of a request.

    `count` gives the number and whether it is the upstream's own count (True) or an estimate (False). It raises
    `UpstreamFailed` where the upstream refuses the request.
    """

    async def count(self, body: Mapping[str, Any], betas: tuple[str, ...]) -> tuple[int, bool]: ...
