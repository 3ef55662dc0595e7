"""Knows what a batch costs: items a second beside a plain client, creating a large one, and the queue an item.

python -m benchmarks.batches [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx

from benchmarks.candidates import MODEL, endpoint, pinnace
from pinnace.core.model.batches import Batch, BatchItem, ItemResult, Task, Verdict
from pinnace.core.settings import Settings
from pinnace.core.stores.batches import open_batches

ROOT = Path(__file__).parents[1]
ITEMS, AT_ONCE = 300, 8
LARGE = 100_000
QUEUED = 5_000


@dataclass(slots=True)
class Report:
    """Items a second by seconds of model time; creation; microseconds an item."""

    rates: dict[float, tuple[float, float]] = field(default_factory=dict)
    created: float = 0.0
    megabytes: float = 0.0
    before: float = 0.0
    peak: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write docs/performance-batches.md")
    chosen = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as directory, endpoint(Path(directory) / "endpoint") as upstream:
        for seconds in (0.0, 0.2):
            report.rates[seconds] = (
                batch_rate(upstream, Path(directory) / f"rate{seconds}", seconds),
                asyncio.run(plain_rate(upstream, seconds)),
            )
            print(seconds, report.rates[seconds])
        create(upstream, Path(directory) / "large", report)
        asyncio.run(queue(Path(directory) / "queue", report))
    text = render(report)
    print(text)
    if chosen.write:
        (ROOT / "docs" / "performance-batches.md").write_text(text)


def script(seconds: float, number: int) -> str:
    delay = f"::delay {seconds}\n" if seconds else ""
    return f"Item {number}.\n{delay}::text one two three four"


def params(seconds: float, number: int) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": script(seconds, number)}]}


def batch_rate(upstream: str, directory: Path, seconds: float) -> float:
    """From the creation to the end, in a server whose processes live."""
    variables = {"PINNACE_BATCHES__CONCURRENCY": str(AT_ONCE), "PINNACE_MESSAGES__SPARES": str(AT_ONCE)}
    with pinnace(upstream, directory, **variables) as (url, _), httpx.Client(timeout=60) as http:
        run(http, url, [params(0.0, number) for number in range(4 * AT_ONCE)])
        began = time.perf_counter()
        run(http, url, [params(seconds, number) for number in range(ITEMS)])
        return ITEMS / (time.perf_counter() - began)


def run(http: httpx.Client, url: str, asked: list[dict[str, Any]]) -> None:
    requests = [{"custom_id": f"item-{number}", "params": one} for number, one in enumerate(asked)]
    address = f"{url}/v1/messages/batches"
    made = http.post(address, json={"requests": requests}).json()
    while (shown := http.get(f"{address}/{made['id']}").json())["processing_status"] != "ended":
        time.sleep(0.05)
    if shown["request_counts"]["succeeded"] != len(asked):
        raise RuntimeError(shown)


async def plain_rate(upstream: str, seconds: float) -> float:
    """The ceiling: the official client straight to the model's API, as many at once."""
    places = asyncio.Semaphore(AT_ONCE)
    async with anthropic.AsyncAnthropic(base_url=upstream, api_key="sk-any") as client:

        async def one(number: int) -> None:
            async with places:
                await client.messages.create(**params(seconds, number))

        await one(0)
        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(ITEMS)))
        return ITEMS / (time.perf_counter() - began)


def create(upstream: str, directory: Path, report: Report) -> None:
    """Create a batch as large as may be, which nobody runs."""
    with pinnace(upstream, directory, PINNACE_BATCHES__CONCURRENCY="0") as (url, pid):
        with httpx.Client(timeout=600) as http:
            http.get(f"{url}/v1/messages/batches")
            report.before = memory(pid, "VmRSS")
            size = sum(len(piece) for piece in body())
            began = time.perf_counter()
            made = http.post(f"{url}/v1/messages/batches", content=body())
            report.created = time.perf_counter() - began
            if made.json()["request_counts"]["processing"] != LARGE:
                raise RuntimeError(made.text)
        report.peak, report.megabytes = memory(pid, "VmHWM"), size / 2**20


def body() -> Iterator[bytes]:
    text = "Tell me more about the cargo of this ship, please. " * 40
    between = b'{"requests":['
    for number in range(LARGE):
        asked = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": f"{number} {text}"}]}
        yield between + json.dumps({"custom_id": f"item-{number}", "params": asked}).encode()
        between = b","
    yield b"]}"


def memory(pid: int, name: str) -> float:
    """MiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def queue(directory: Path, report: Report) -> None:
    """What an item costs beside its call, in SQLite, one after the other."""
    stores, now = open_batches(Settings(data_dir=directory)), time.time()
    batch = Batch("p", "b", now, now + 86_400, total=QUEUED)
    await stores.batches.add(batch)
    await stores.batches.open(batch)
    tasks = [Task("p", "b", BatchItem(number, f"item-{number}", 0, 1)) for number in range(QUEUED)]
    result = ItemResult(Verdict.SUCCEEDED, b"x" * 500, 1)
    began = time.perf_counter()
    await stores.queue.put(tasks)
    report.costs["put into the queue"] = (time.perf_counter() - began) / QUEUED * 1e6
    spent = dict.fromkeys(("take", "claim", "finish", "done"), 0.0)
    for _ in range(QUEUED):
        moments = [time.perf_counter()]
        (delivery,) = await stores.queue.take(1, now, now + 60)
        moments.append(time.perf_counter())
        await stores.batches.claim(delivery.task, "w", now, now + 60)
        moments.append(time.perf_counter())
        await stores.batches.finish(delivery.task, result)
        moments.append(time.perf_counter())
        await stores.queue.done(delivery)
        moments.append(time.perf_counter())
        for name, begin, end in zip(spent, moments, moments[1:], strict=False):
            spent[name] += end - begin
    report.costs |= {name: seconds / QUEUED * 1e6 for name, seconds in spent.items()}
    await stores.close()


def render(report: Report) -> str:
    """The page."""
    rows = "\n".join(
        f"| {seconds * 1000:.0f} ms | {ours:.1f} | {plain:.1f} | {ours / plain:.2f} |"
        for seconds, (ours, plain) in report.rates.items()
    )
    costs = "\n".join(f"| {name} | {cost:.0f} |" for name, cost in report.costs.items())
    grown = report.peak - report.before
    day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    return f"""# What a batch costs

`python -m benchmarks.batches --write`, {day}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.
The model is [the scripted upstream](upstream.md).

## Items a second

{ITEMS} items, {AT_ONCE} at once, from the creation of the batch to its end, in a server that has run before. Beside it the
official asynchronous client straight to the same upstream, as many at once: it has no CLI, keeps no result and pays nobody.

| model time | batch | plain client | ratio |
|---|---|---|---|
{rows}

## Creating {LARGE:,} items

{report.megabytes:.0f} MB in one request: {report.created:.1f} s, and the server grew from {report.before:.0f} to
{report.peak:.0f} MiB at its peak, {grown:.0f} MiB more.

## The queue

Microseconds an item in SQLite, one after the other, `synchronous` as the server has it:

| | us |
|---|---|
{costs}
| all | {sum(report.costs.values()):.0f} |
"""


if __name__ == "__main__":
    main()
