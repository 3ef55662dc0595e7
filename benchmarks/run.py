"""Knows the order of the benchmarks and where their report goes.

python -m benchmarks.run [--quick] [--litellm] [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.candidates import endpoint, install_litellm, litellm, pinnace, sdk_query
from benchmarks.load import Call, measure, over_http
from benchmarks.report import LEVELS, Report, render

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--litellm", action="store_true")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    chosen = parser.parse_args()
    words = " ".join(flag for flag in ("--quick", "--litellm") if getattr(chosen, flag[2:]))
    report = Report(
        machine(), datetime.datetime.now(datetime.UTC).date().isoformat(), f"python -m benchmarks.run {words}".strip()
    )
    with tempfile.TemporaryDirectory() as directory, endpoint(Path(directory) / "endpoint") as upstream:
        run(report, Path(directory), upstream, quick=chosen.quick, with_litellm=chosen.litellm)
    text = render(report)
    print(text)
    if chosen.write:
        (ROOT / "docs" / "performance.md").write_text(text)


def run(report: Report, directory: Path, upstream: str, *, quick: bool, with_litellm: bool) -> None:
    share = 0.3 if quick else 1.0
    report.imported = import_time()
    report.parked = statistics.median(
        first_from_parked(upstream, directory / f"parked{i}") for i in range(2 if quick else 5)
    )
    compare(report, "direct", lambda stream: over_http(upstream, stream=stream), share * 200)
    with pinnace(upstream, directory / "pinnace") as (url, _):
        compare(report, "pinnace", lambda stream: over_http(url, stream=stream), share * 150)
    with pinnace(upstream, directory / "memory") as (url, pid):
        report.requests = int(share * 6000)
        report.slope, report.peak = asyncio.run(memory(over_http(url, stream=False), pid, report.requests))
    if with_litellm and (python := install_litellm(ROOT / ".bench" / "litellm")):
        with litellm(upstream, directory / "litellm", python) as url:
            compare(report, "LiteLLM", lambda stream: over_http(url, stream=stream), share * 100)
    compare(report, "claude_agent_sdk.query()", lambda _: sdk_query(upstream), share * 16, forms=("stream",))


def compare(
    report: Report, name: str, make: Callable[[bool], Call], calls: float, forms: tuple[str, ...] = ("stream", "JSON")
) -> None:
    for form in forms:
        for level in LEVELS:
            call = make(form == "stream")
            number = max(level * 2, int(calls))
            report.figures[form, level, name] = asyncio.run(measure(call, concurrency=level, calls=number))


def first_from_parked(upstream: str, directory: Path) -> float:
    """Milliseconds to the first delta of a server's first call, once a spare is parked."""
    with pinnace(upstream, directory) as (url, _):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with urllib.request.urlopen(url.removesuffix("/api") + "/v1/pool/stats") as answer:  # noqa: S310 - loopback
                if json.load(answer)["parked"]:
                    break
            time.sleep(0.1)
        time.sleep(0.5)
        return asyncio.run(over_http(url, stream=True)())[0] * 1000


def import_time() -> float:
    """Milliseconds to import the server app, with compiled bytecode."""
    code = "import time; t = time.perf_counter(); import pinnace.handlers.hosts.asgi; print((time.perf_counter() - t) * 1000)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(6)
    ]
    return statistics.median(runs[1:])


async def memory(call: Call, pid: int, requests: int) -> tuple[float, float]:
    """Kilobytes a request by which the server and its children grow, by least squares, and their peak in MiB.

    A process grows for as long as it lives and is replaced after `pool.max_turns` calls, so that it takes several lives of a
    process to tell whether the whole of them grows.
    """
    step = max(1, requests // 60)
    samples = []
    for done in range(0, requests, step):
        await measure(call, concurrency=4, calls=step)
        samples.append((done, resident(pid)))
    return statistics.linear_regression(*zip(*samples, strict=True)).slope, max(kb for _, kb in samples) / 1024


def resident(pid: int) -> int:
    """Resident kilobytes of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = 0
    for each in (str(pid), *children):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
