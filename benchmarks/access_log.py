"""What the access log costs a request, and what a question costs: `python -m benchmarks.access_log [--lines 1000000]`.

Side by side in one run, in turns: records added to the log, the same records written by its thread, and the same written by
whoever has them, with `json.dumps` and a flush each. Then questions over a log of a million lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.duckdb.access_log import DuckAccessLog
from pinnace.core.adapters.duckdb.files import DayFile
from pinnace.core.adapters.duckdb.lines import line_of
from pinnace.core.adapters.duckdb.reader import query
from pinnace.core.adapters.duckdb.writer import Writer
from pinnace.core.model.access_log import AccessRecord, moment_of

ROUNDS, RECORDS = 40, 500
DAYS = 30
DAY = 86_400.0
#: 2026-11-01.
BEGINNING = 1_793_491_200.0
CALLS, FAILURES = 0.8, 0.03
ADDED, FLUSHED, WRITTEN = "added to the log", "written by its thread, later", "`json.dumps`, write and flush, at once"
MODELS = ("claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-5-5")


def records(count: int) -> Iterator[AccessRecord]:
    """Requests spread over thirty days, in their order."""
    chance = random.Random(1)  # noqa: S311 - the same requests each time
    for number in range(count):
        call = chance.random() < CALLS
        failed = chance.random() < FAILURES
        yield AccessRecord(
            at=BEGINNING + DAYS * DAY * number / count,
            request_id=f"req_{number:024x}",
            project_id=f"prj_{chance.randrange(50):020x}",
            key_id=f"key_{chance.randrange(200):020x}",
            method="POST" if call else "GET",
            path="/v1/messages" if call else chance.choice(("/health", "/v1/usage", "/v1/models")),
            status=529 if failed else 200,
            error="overloaded_error" if failed else None,
            model=chance.choice(MODELS) if call else None,
            profile="messages" if call else None,
            stream=call,
            tokens={"input_tokens": chance.randrange(9_000), "output_tokens": chance.randrange(900)} if call else None,
            cost_microusd=chance.randrange(100_000) if call else None,
            duration_ms=round(chance.expovariate(1 / 2_000), 1),
            first_delta_ms=round(chance.expovariate(1 / 400), 1) if call else None,
            cache=None,
            user_agent="Anthropic/Python 2.11.0",
        )


def hot_path(place: Path) -> dict[str, float]:
    """Microseconds a record; medians of rounds that take turns."""
    writer, given = Writer(place, SystemClock(), DAYS), list(records(RECORDS))
    lines = [json.loads(line_of(record)) for record in given]
    taken: dict[str, list[float]] = {ADDED: [], FLUSHED: [], WRITTEN: []}
    with (place / "by-oneself").open("w", encoding="utf-8") as file:

        def write(line: dict[str, Any]) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        for _ in range(ROUNDS):
            # One less than a batch, so that the thread sleeps while both are measured.
            taken[ADDED].append(microseconds(lambda: [writer.add(record) for record in given[1:]]))
            taken[FLUSHED].append(microseconds(writer.flush))
            taken[WRITTEN].append(microseconds(lambda: [write(line) for line in lines[1:]]))
    writer.close()
    assert writer.lost == 0
    return {name: statistics.median(rounds) for name, rounds in taken.items()}


def microseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / (RECORDS - 1) * 1e6


def fill(place: Path, count: int) -> None:
    file, day, batch = DayFile(place), "", list[bytes]()
    for record in records(count):
        today = moment_of(record.at)[:10]
        if batch and (today != day or len(batch) >= RECORDS):
            file.append(day, batch)
            batch = []
        day = today
        batch.append(line_of(record))
    file.append(day, batch)
    file.close()


async def questions(place: Path) -> dict[str, float]:
    """Seconds of each question; the best of three, since what is above it is the machine's."""
    log = DuckAccessLog(place, SystemClock(), DAYS * 100)
    first, last = moment_of(BEGINNING)[:10], moment_of(BEGINNING + DAYS * DAY - 1)[:10]
    sql = "SELECT model, sum(cost_usd) FROM access_log GROUP BY model"

    async def ask(project_id: str | None, begin: str) -> float:
        began = time.perf_counter()
        await log.stats(project_id, begin, last)
        return time.perf_counter() - began

    def select() -> float:
        began = time.perf_counter()
        query(place, sql)
        return time.perf_counter() - began

    taken = {
        "statistics of all projects, all days": min([await ask(None, first) for _ in range(3)]),
        "statistics of one project, all days": min([await ask(f"prj_{7:020x}", first) for _ in range(3)]),
        "statistics of all projects, one day": min([await ask(None, last) for _ in range(3)]),
        "`pinnace logs sql`, the cost by model": min([select() for _ in range(3)]),
    }
    await log.aclose()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    count = parser.parse_args().lines
    where = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    print(f"On {datetime.now(UTC).date()}, {where}.\n")
    with tempfile.TemporaryDirectory() as directory:
        cost = hot_path(Path(directory))
    print("| a record | µs | ratio |\n|---|---|---|")
    print("\n".join(f"| {name} | {each:.2f} | {each / cost[WRITTEN]:.3f} |" for name, each in cost.items()) + "\n")
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory), count)
        size = sum(file.stat().st_size for file in Path(directory).rglob("*.jsonl"))
        taken = asyncio.run(questions(Path(directory)))
    print(f"| a question over {count:,} lines ({size / 1e6:,.0f} MB) | s |\n|---|---|")
    print("\n".join(f"| {name} | {seconds:.2f} |" for name, seconds in taken.items()))


if __name__ == "__main__":
    main()
