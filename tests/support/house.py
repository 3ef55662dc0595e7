"""Knows a server's use cases over stores in memory that note what they are asked, and an agent that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from clocks import HandClock
from prices import TenAToken

from pinnace.core.adapters.local.workspaces import PackedWorkspaces
from pinnace.core.adapters.memory.answers import MemoryAnswerStore
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.memory.files import MemoryFiles
from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.memory.sessions import MemorySessions
from pinnace.core.adapters.memory.transcripts import MemoryTranscripts
from pinnace.core.adapters.memory.usage import MemoryUsageStore
from pinnace.core.model.access import ORDINARY, Budget, Key, Limits, Principal, Project
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.model.limits import Lease, Meter, Take
from pinnace.core.model.routing import Thresholds
from pinnace.core.model.run import MessageMode, ModelEvent, Outcome, PoolStats, Profile, RunEvent, RunRequest
from pinnace.core.model.usage import UsageRecord
from pinnace.core.ports import SessionLink, Toll
from pinnace.core.usecases.billing import Billing
from pinnace.core.usecases.call import Call, Receipt
from pinnace.core.usecases.calls import Calls
from pinnace.core.usecases.filing import FileBook
from pinnace.core.usecases.replay import Replay
from pinnace.core.usecases.routing import Router
from pinnace.core.usecases.sessions import SessionBook

MODEL = "claude-x"
BODY: dict[str, Any] = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "Ahoy"}]}
USED = {"input_tokens": 5, "output_tokens": 2}
#: What a run says: an event, an error to raise, or None to wait for ever.
Line = dict[str, Any] | Exception | None
SAID: tuple[Line, ...] = ({"type": "message_start"}, {"type": "content_block_delta"}, {"type": "message_stop"})


@dataclass
class SaidRun:
    """A run that says its lines, and pays the toll for each of `calls` first."""

    lines: Sequence[Line]
    calls: int
    toll: Toll | None
    journal: list[str]
    hanging: asyncio.Event
    outcome: Outcome = field(default_factory=Outcome)
    stop_reason: str | None = None

    async def __aenter__(self) -> SaidRun:
        self.journal.append("run")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.outcome = Outcome(USED, calls=1, by_model={MODEL: USED})
        self.journal.append("left")

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        for _ in range(self.calls if self.toll else 0):
            assert self.toll is not None
            ticket = await self.toll.enter(BODY)
            await self.toll.leave(ticket, USED)
        for line in self.lines:
            if line is None:
                self.hanging.set()
                await asyncio.Event().wait()
            elif isinstance(line, Exception):
                raise line
            else:
                yield ModelEvent(line)


@dataclass
class SaidRunner:
    """`AgentRunner` whose runs say `lines`, after as many calls to the model; `hanging` says that one waits for ever."""

    journal: list[str]
    lines: Sequence[Line] = SAID
    calls: int = 0
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self, request: RunRequest, toll: Toll | None = None, session: SessionLink | None = None) -> SaidRun:
        return SaidRun(self.lines, self.calls, toll, self.journal, self.hanging)

    async def forget(self, session_name: str) -> None:
        """It holds none."""

    async def prepare(self) -> None:
        return None

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(MODEL, "X", "2026-01-01T00:00:00Z", aliases=("haiku",))]

    async def version(self) -> str:
        return "1.0.0"

    def stats(self) -> PoolStats:
        return PoolStats()

    async def aclose(self, grace: float) -> None:
        return None


class NotingLimiter(MemoryLimiter):
    """A limiter that notes when it is asked."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self.journal = journal

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        self.journal.append("limits")
        return await super().enter(takes, now, lease)

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        self.journal.append("place given back")
        await super().leave(corrections, now, lease)


class NotingLedger(MemoryLedger):
    """A ledger that notes when it is asked."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self.journal = journal

    async def reserve(self, reservation: Reservation, caps: Sequence[Cap]) -> None:
        self.journal.append("money")
        await super().reserve(reservation, caps)

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        self.journal.append("settled")
        return await super().settle(reservation_id, used)


class NotingUsage(MemoryUsageStore):
    """A store of usage that notes when it is asked."""

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self.journal = journal

    async def add(self, record: UsageRecord) -> None:
        self.journal.append("record")
        await super().add(record)


@dataclass
class House:
    """Everything that a call goes through, and a key with every limit."""

    journal: list[str]
    runner: SaidRunner
    limiter: NotingLimiter
    ledger: NotingLedger
    usage: NotingUsage
    calls: Calls
    limits: Limits = Limits(5, 3_000, 2_000, 1_000, concurrent=1)  # noqa: RUF009 - it is frozen

    def call(self, number: int = 1, budget: Budget | None = None, **fields: Any) -> Call:
        key = Key("k", "p", "K", "digest", "hint", 0.0, limits=self.limits)
        principal = Principal(Project("p", "P", 0.0, budget or Budget()), ORDINARY, key)
        made = Call(
            request_id=f"req_{number}",
            principal=principal,
            profile=Profile.MESSAGES,
            path="/v1/messages",
            model=MODEL,
            body=BODY,
            betas=(),
            api_version="2023-06-01",
            seconds=60.0,
            mode=MessageMode.IGNORE,
        )
        return replace(made, **fields)

    def stream(self, call: Call, receipt: Receipt | None = None) -> AsyncGenerator[dict[str, Any], None]:
        return self.calls.stream(call, receipt or Receipt())

    async def serve(
        self, call: Call, said: list[dict[str, Any]] | None = None, receipt: Receipt | None = None
    ) -> list[dict[str, Any]]:
        """Hear a call to its end; what was said before a failure is in `said`."""
        heard = [] if said is None else said
        async with contextlib.aclosing(self.stream(call, receipt)) as events:
            async for event in events:
                heard.append(event)
        return heard

    async def record(self) -> UsageRecord:
        """The only record that there is."""
        (record,) = await self.usage.records("p", 10)
        return record

    async def assert_given_back(self, used: int) -> None:
        """Nothing is reserved, `used` tokens are counted, and the only place is free."""
        held = Balance(Amount(10 * used, used), Amount())
        owners = [Account(owner, period) for owner in ("project:p", "key:k") for period in ("2026-11", "all")]
        assert await self.ledger.balances(owners) == [held] * 4
        now, limits = self.calls.clock.now(), self.limits
        asked = [
            Take("k", "tokens", limits.tokens_per_minute or 0, 0),
            Take("k", "output-tokens", limits.output_tokens_per_minute or 0, 0),
        ]
        meters = await self.limiter.enter(asked, now, Lease("k", "probe", 1, now + 1))
        written = USED["output_tokens"] * used // sum(USED.values())
        assert [meter.remaining for meter in meters] == [3_000 - used, 1_000 - written]


def build_house() -> House:
    journal: list[str] = []
    runner, limiter = SaidRunner(journal), NotingLimiter(journal)
    ledger, usage, clock = NotingLedger(journal), NotingUsage(journal), HandClock(1_795_255_200.0)
    billing = Billing(ledger, TenAToken(), clock)
    calls = Calls(
        runner=runner,
        limiter=limiter,
        usage=usage,
        billing=billing,
        router=Router(runner, billing, Thresholds()),
        replay=Replay(MemoryAnswerStore(), clock, ttl=60.0),
        sessions=SessionBook(
            MemorySessions(), MemoryTranscripts(clock), PackedWorkspaces(MemoryBlobs()), runner, clock
        ),
        files=FileBook(MemoryFiles(), MemoryBlobs(), clock, Path("nowhere")),
        clock=clock,
    )
    return House(journal, runner, limiter, ledger, usage, calls)
