"""Knows how to open each kind of access log, and how one of several processes writes: `access_logs.py KIND PLACE TIMES`."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clocks import HandClock

from pinnace.core.adapters.duckdb.access_log import DuckAccessLog
from pinnace.core.adapters.memory.access_log import MemoryAccessLog
from pinnace.core.model.access_log import AccessRecord
from pinnace.core.ports import AccessLog

#: 2027-01-15, at noon.
NOON = 1_800_014_400.0
DAY = "2027-01-15"
TOKENS = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_creation_input_tokens": 30,
    "cache_read_input_tokens": 40,
}


def in_memory(_place: Path) -> AccessLog:
    return MemoryAccessLog()


def in_files(place: Path) -> AccessLog:
    return DuckAccessLog(place, HandClock(NOON), days=30)


KINDS: dict[str, Callable[[Path], AccessLog]] = {"memory": in_memory, "duckdb": in_files}
#: The kinds that several processes may share.
SHARED = ["duckdb"]


def record(**fields: Any) -> AccessRecord:
    """A call that went well, but for what is given."""
    usual: dict[str, Any] = {
        "at": NOON,
        "request_id": f"req_{uuid.uuid4().hex[:24]}",
        "project_id": "prj_1",
        "key_id": "key_1",
        "method": "POST",
        "path": "/v1/messages",
        "status": 200,
        "error": None,
        "model": "claude-x",
        "profile": "messages",
        "stream": False,
        "tokens": TOKENS,
        "cost_microusd": 450,
        "duration_ms": 12.5,
        "first_delta_ms": 3.5,
        "cache": None,
        "user_agent": "a test",
    }
    return AccessRecord(**usual | fields)


async def write(kind: str, place: str, times: int) -> None:
    log = KINDS[kind](Path(place))
    for number in range(times):
        log.add(record())
        if number % 5 == 0:
            # So that the processes are at it at the same time, in several batches each.
            await asyncio.sleep(0.001)
    await log.aclose()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
