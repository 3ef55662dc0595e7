"""Knows how to look for a free port and for processes that somebody left behind; it must not know whose they are."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

SETTLING = 3.0


def free_port() -> int:
    """A port on loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def left_over(mark: str) -> list[int]:
    """Processes whose environment names `mark`, once those that are ending have ended; none where there is no `/proc`."""
    deadline = time.monotonic() + SETTLING
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = entry.read_bytes()
        except OSError:
            continue
        if mark.encode() in environment and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found
