"""Knows the access log that docs/logs.md asks its questions of: two days, two projects, three keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from access_logs import record
from clocks import HandClock

from pinnace.core.adapters.duckdb.writer import Writer
from pinnace.core.model.access_log import AccessRecord

FIRST, LAST = "2026-11-20", "2026-11-21"
SONNET, HAIKU, OPUS = "claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-5-5"
ANA: dict[str, Any] = {"project_id": "prj_ship", "key_id": "key_ana"}
BEN: dict[str, Any] = {"project_id": "prj_ship", "key_id": "key_ben"}
CY: dict[str, Any] = {"project_id": "prj_harbour", "key_id": "key_cy"}
NOBODY: dict[str, Any] = {"project_id": None, "key_id": None}
NO_CALL: dict[str, Any] = {"model": None, "profile": None, "tokens": None, "cost_microusd": None}


def answered(at: str, taken: float, first: float | None = None, **fields: Any) -> AccessRecord:
    """A request at a moment of UTC; what streams has a first delta."""
    moment = datetime.fromisoformat(f"{at}+00:00").timestamp()
    return record(at=moment, duration_ms=taken, first_delta_ms=first, stream=first is not None, **fields)


def used(model: str, read: int, written: int, microusd: int, cached: int = 0) -> dict[str, Any]:
    tokens = {"input_tokens": read, "output_tokens": written, "cache_read_input_tokens": cached}
    return {"model": model, "tokens": tokens, "cost_microusd": microusd}


def failed(model: str, status: int, error: str) -> dict[str, Any]:
    return used(model, 0, 0, 0) | {"status": status, "error": error}


RECORDS = [
    answered("2026-11-20 09:15:00", 2100.5, 420.1, **ANA, **used(SONNET, 1200, 300, 5400)),
    answered("2026-11-20 09:15:30", 1800.0, 380.0, **ANA, **used(SONNET, 200, 100, 1600, cached=1000)),
    answered("2026-11-20 09:40:00", 640.2, **BEN, **used(HAIKU, 500, 50, 750), cache="miss"),
    answered("2026-11-20 09:41:00", 3.1, **BEN, **used(HAIKU, 0, 0, 0), cache="hit"),
    answered("2026-11-20 22:05:00", 9300.0, **CY, **used(OPUS, 4000, 900, 42500), path="/v1/batch"),
    answered("2026-11-20 22:06:00", 120.4, **CY, **failed(OPUS, 529, "overloaded_error")),
    answered("2026-11-21 10:00:05", 1500.0, 300.0, **ANA, **used(SONNET, 800, 200, 3600)),
    answered(
        "2026-11-21 10:00:40", 4000.5, 510.7, **BEN, **used(SONNET, 3000, 1000, 16000), path="/v1/chat/completions"
    ),
    answered("2026-11-21 10:20:00", 1.2, **ANA, **failed(SONNET, 429, "rate_limit_error")),
    answered("2026-11-21 10:30:00", 0.4, **NOBODY, **NO_CALL, status=401, error="authentication_error"),
    answered("2026-11-21 11:00:00", 2.2, **ANA, **NO_CALL, method="GET", path="/v1/usage"),
    answered("2026-11-21 11:59:00", 700.0, **CY, **used(HAIKU, 600, 60, 900), cache="miss"),
    answered("2026-11-21 12:10:00", 30000.0, 250.0, **CY, **used(HAIKU, 100, 10, 150), status=499, error="client_left"),
    answered("2026-11-21 12:30:00", 0.9, **NOBODY, **NO_CALL, method="GET", path="/health"),
]


def write_known_log(data_dir: Path) -> None:
    """Write it to where a server with this `data_dir` would."""
    writer = Writer(data_dir / "access", HandClock(RECORDS[-1].at), days=30)
    for one in RECORDS:
        writer.add(one)
    writer.close()
