"""Knows how to end children and remove their directories when the server that owns them has died; it must not import pinnace.

It runs as a process of its own (`python -I guardian.py`), started by the pool with a pipe as standard input. Each line is
`+MARK PID DIRECTORY` or `-MARK`. The pipe closes when the server ends, however it ends (SIGKILL included); what is still
listed then is killed, with everything that carries its mark in the environment, and its directory is removed.

The mark is found in `/proc/*/environ`, which survives `setsid` and a new parent, where a process group does not: the CLI
starts its shells in sessions of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

MARK = "PINNACE_RUN"


def marked(mark: str) -> Iterator[int]:
    """Yield the processes that carry `mark`; none on a system without `/proc`."""
    wanted = f"{MARK}={mark}".encode()
    try:
        entries = os.listdir("/proc")
    except OSError:
        return
    for entry in entries:
        if entry.isdigit():
            try:
                environment = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if wanted in environment.split(b"\0"):
                yield int(entry)


def kill_marked(mark: str) -> None:
    """Kill whatever carries `mark`, until nothing new appears."""
    for _ in range(5):
        found = [pid for pid in marked(mark) if pid != os.getpid()]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        if not found:
            return


def kill(pid: int, mark: str) -> None:
    """Kill a child and whatever carries its mark; `pid` is 0 where it was never seen to start.

    Where there is no `/proc` to find marks in, the child's process group is what can be had.
    """
    if os.path.isdir("/proc/self"):
        kill_marked(mark)
        return
    if pid == 0:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


def main() -> None:
    """Follow the list on standard input to its end, then clear up what is left of it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listed: dict[str, tuple[int, str]] = {}
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word.startswith("+"):
            pid, _, directory = rest.partition(" ")
            listed[word[1:]] = (int(pid), directory)
        elif word.startswith("-"):
            listed.pop(word[1:], None)
    for mark, (pid, directory) in listed.items():
        kill(pid, mark)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
