"""What key, limits, reservation, settlement and record add to a call: `python -m benchmarks.admission [--write]`.

Side by side in one run, on SQLite in a file of its own: calls of the use case whose model answers at once, with a stored key
that has limits and budgets, and the same model without any of it. The difference is what a call pays.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pinnace.core.model.access import Budget, Key, Limits, Project, digest_of, new_secret
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.routing import Thresholds
from pinnace.core.model.run import MessageMode, ModelEvent, Outcome, PoolStats, Profile, RunEvent, RunRequest
from pinnace.core.ports import RunContext, SessionLink, Toll
from pinnace.core.settings import Settings
from pinnace.core.stores.files import open_files
from pinnace.core.stores.sessions import open_sessions
from pinnace.core.stores.tenancy import open_stores
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.billing import Billing
from pinnace.core.usecases.call import Call, Receipt
from pinnace.core.usecases.calls import Calls
from pinnace.core.usecases.filing import FileBook
from pinnace.core.usecases.messages import Receipt as RunReceipt
from pinnace.core.usecases.messages import converse
from pinnace.core.usecases.replay import Replay
from pinnace.core.usecases.routing import Router
from pinnace.core.usecases.sessions import SessionBook
from pinnace.core.wiring import open_prices, system_clock

PAGE = Path(__file__).parents[1] / "docs" / "performance-admission.md"
CALLS = 2_000
GOAL = 3.0
MODEL = "claude-sonnet-5-5"
USAGE = {"input_tokens": 20, "output_tokens": 5}
BODY: dict[str, Any] = {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "Ahoy " * 20}]}


class Instant:
    """A run that is over before it began."""

    outcome = Outcome(USAGE, 0, 1, {MODEL: USAGE})
    stop_reason = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        yield ModelEvent({"type": "message_stop"})


class InstantRunner:
    """`AgentRunner` whose model answers at once."""

    def run(self, _request: RunRequest, _toll: Toll | None = None, _session: SessionLink | None = None) -> RunContext:
        return Instant()

    async def forget(self, session_name: str) -> None:
        """It holds none."""

    async def prepare(self) -> None:
        return None

    async def models(self) -> list[ModelInfo]:
        return []

    async def version(self) -> str:
        return ""

    def stats(self) -> PoolStats:
        raise NotImplementedError("there is no pool here, and nobody asks for one")

    async def aclose(self, grace: float) -> None:  # noqa: ARG002 - the port's signature
        return None


async def measure() -> tuple[float, float]:
    """Milliseconds of a call without any of it and with all of it; medians."""
    with tempfile.TemporaryDirectory() as directory:
        stores = open_stores(Settings(data_dir=Path(directory)))
        clock, runner = system_clock(), InstantRunner()
        billing = Billing(stores.ledger, open_prices(Settings()), clock)
        router = Router(runner, billing, Thresholds())
        replay = Replay(stores.answers, clock, 1.0)
        kept = open_sessions(Settings(store="memory"), clock)
        sessions = SessionBook(kept.sessions, kept.transcripts, kept.workspaces, runner, clock)
        stored = open_files(Settings(store="memory"))
        files = FileBook(stored.files, stored.blobs, clock, stored.arriving)
        calls = Calls(runner, stores.limiter, stores.usage, billing, router, replay, sessions, files, clock)
        access = Access(stores.directory, clock)
        secret = await _make_key(access)

        async def bare(number: int) -> None:
            request = RunRequest(f"req_{number}", "prj_1", Profile.MESSAGES, MODEL, BODY)
            async for _ in converse(runner, request, MessageMode.IGNORE, RunReceipt()):
                pass

        async def whole(number: int) -> None:
            principal = await access.authenticate(secret)
            call = Call(
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
            async for _ in calls.stream(call, Receipt()):
                pass

        for number in range(50):
            await bare(-number - 1)
            await whole(-number - 1)
        figures = await _side_by_side(bare, whole)
        await stores.close()
        return figures


async def _make_key(access: Access) -> str:
    secret, now = new_secret(), access.clock.now()
    budget = Budget(monthly_microusd=10**12, total_tokens=10**12)
    limits = Limits(requests_per_minute=10**6, tokens_per_minute=10**9, concurrent=1_000)
    await access.directory.add_project(Project("prj_1", "One", now, budget))
    await access.directory.add_key(
        Key("key_1", "prj_1", "One", digest_of(secret), "", now, limits=limits, budget=budget)
    )
    return secret


async def _side_by_side(
    bare: Callable[[int], Awaitable[None]], whole: Callable[[int], Awaitable[None]]
) -> tuple[float, float]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(CALLS):
        for kind, work in enumerate((bare, whole)):
            began = time.perf_counter()
            await work(number)
            taken[kind].append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[0]), statistics.median(taken[1])


def report(bare: float, whole: float) -> str:
    """The page."""
    added = whole - bare
    reached = "reached" if added < GOAL else "not reached"
    where = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return "\n".join(
        [
            "# What a call pays for its key, limits and budget",
            "",
            f"Generated by `python -m benchmarks.admission --write` on {datetime.now(UTC).date()}, {where}.",
            f"Medians of {CALLS:,} calls, one after the other, on SQLite; the model answers at once.",
            "",
            "| | ms a call |",
            "|---|---|",
            f"| the run alone | {bare:.3f} |",
            f"| with key, limits, reservation, settlement and record | {whole:.3f} |",
            f"| what they add | {added:.3f} |",
            "",
            f"The goal is under {GOAL:g} ms: {reached}. On DynamoDB they are four round trips",
            "and one for the record, counted by a test (`tests/contracts/test_dynamodb.py`).",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    written = report(*asyncio.run(measure()))
    print(written)
    if parser.parse_args().write:
        PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
