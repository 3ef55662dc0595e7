"""Knows what running a call needs: time, the CLI, a session, and who counts tokens; it must not know an adapter.

Each need is a Protocol with its contract in prose.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.run import Outcome, PoolStats, RunEvent, RunRequest
from pinnace.core.model.sessions import Entry


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


class Toll(Protocol):
    """Is paid for each call that an agent makes to the model, so that a loop ends where the money does.

    `binding` says whether it may refuse. `enter` gives a ticket or raises `BudgetExceeded`, and the call is not made; `leave`
    takes what the call used, by the API's own names, also where it failed or was cut off.
    """

    @property
    def binding(self) -> bool: ...

    async def enter(self, body: Mapping[str, Any]) -> str: ...

    async def leave(self, ticket: str, usage: Mapping[str, int]) -> None: ...


class RunContext(AbstractAsyncContextManager[Run, None], Protocol):
    """A run before it is entered; its `outcome` may be read after it has been left, also when entering it failed."""

    @property
    def outcome(self) -> Outcome: ...


class SessionLink(Protocol):
    """What a run reads and writes of its session; what writes raises `Conflicted` where somebody else holds it by now.

    `name` is unique over all projects. `transcript` is the CLI's own id of it, None before a turn was kept. `turns` is how many
    were kept: a live process that has seen another number is out of date. `place` is the name of the directory where it
    worked last.
    """

    @property
    def name(self) -> str: ...

    @property
    def transcript(self) -> str | None: ...

    @property
    def turns(self) -> int: ...

    @property
    def place(self) -> str | None: ...

    async def entries(self) -> Mapping[str, Sequence[Entry]]:
        """What was said, by subpath; the session's own under the empty one."""
        ...

    async def restore(self, directory: Path) -> bool:
        """Make an empty directory as it was; False where nothing was kept."""
        ...

    async def append(self, transcript: str, subpath: str, entries: list[Entry]) -> None: ...

    async def keep(self, place: str, directory: Path | None) -> None:
        """Keep the files, and count the turn."""


class AgentRunner(Protocol):
    """Runs calls on the Claude Code CLI.

    `run` is entered before the first event is asked for; it may wait for a process and raises `Overloaded` when too many
    wait. Leaving the context before the end stops the CLI within a second, and never raises. A process that served one
    project never serves another. Each call of an `agent` pays the `toll`, where there is one, and a run of a `session` goes
    on where that was. `prepare` and `aclose` are idempotent; after `aclose` no child process is left.
    """

    def run(self, request: RunRequest, toll: Toll | None = None, session: SessionLink | None = None) -> RunContext: ...

    async def forget(self, session_name: str) -> None:
        """End the process that waits for a session's next turn, if there is one here, and its files with it."""

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
