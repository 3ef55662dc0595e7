"""Knows which processes descend from one and which of them still live; it must not know what any of them does.

Linux tells it in `/proc`, where a small image has no `ps`; elsewhere `ps` does.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Seen:
    """A process at one moment; `started` tells it from a later one that got the same number."""

    pid: int
    parent: int
    started: str


def descendants(pid: int) -> list[Seen]:
    """List the children of `pid`, theirs, and so on."""
    running = list(_running())
    found: list[Seen] = []
    parents = {pid}
    while parents:
        children = [process for process in running if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found


def still_alive(processes: Iterable[Seen]) -> list[Seen]:
    """Give those that still run; one that only waits to be collected does not."""
    now = {(process.pid, process.started) for process in _running()}
    return [process for process in processes if (process.pid, process.started) in now]


def kill(processes: Iterable[Seen]) -> None:
    """Kill those that still run."""
    for process in still_alive(processes):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _running() -> Iterator[Seen]:
    return _from_proc() if (PROC / "self" / "stat").exists() else _from_ps()


def _from_proc() -> Iterator[Seen]:
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        try:
            line = (PROC / name / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # The name is in parentheses and may hold anything, so the fields are counted from the last one: proc(5) has the
        # state third, the parent fourth, the start time twenty-second.
        state, parent, *rest = line.rpartition(")")[2].split()
        if state not in "ZX":
            yield Seen(int(name), int(parent), rest[17])


def _from_ps() -> Iterator[Seen]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True)  # noqa: S607 - where ps lies differs
    for line in listing.stdout.splitlines():
        pid, parent, state, started = line.split(maxsplit=3)
        if not state.startswith("Z"):
            yield Seen(int(pid), int(parent), started)
