"""Knows how many do the same thing to a store at once: threads with an event loop each, and processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hammer

THREADS = 50


def in_threads(work: Callable[[int], Awaitable[bool]], times: int) -> int:
    """Run `work(0)` to `work(times - 1)`, each in an event loop of its own, 50 at once; count what succeeded."""

    async def one(number: int) -> bool:
        return await work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(lambda number: asyncio.run(one(number)), range(times)))


def in_processes(kind: str, place: Path, work: str, *, processes: int = 4, times: int = 60) -> int:
    """Run `work` in several processes at once; count what succeeded in all of them."""
    command = [sys.executable, str(Path(hammer.__file__)), kind, str(place), work, str(times)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    done = [(process.communicate(timeout=60)[0], process.returncode) for process in started]
    assert [status for _, status in done] == [0] * processes
    return sum(int(printed) for printed, _ in done)
