"""Knows the columns of the log and how a record becomes a line of it; it must not know where lines lie or who reads them.

The names, the order and the types are an interface: `docs/logs.md` tells them, and people's own SQL rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from pinnace.core.model.access_log import AccessRecord, moment_of
from pinnace.core.model.usage import KINDS

#: DuckDB's type of each column. TIMESTAMP, not TIMESTAMPTZ: an hour must not depend on the time zone of who asks.
COLUMNS: Final[Mapping[str, str]] = {
    "ts": "TIMESTAMP",
    "request_id": "VARCHAR",
    "project_id": "VARCHAR",
    "key_id": "VARCHAR",
    "method": "VARCHAR",
    "path": "VARCHAR",
    "status": "INTEGER",
    "error": "VARCHAR",
    "model": "VARCHAR",
    "profile": "VARCHAR",
    "stream": "BOOLEAN",
    **dict.fromkeys(KINDS, "BIGINT"),
    "cost_usd": "DECIMAL(18,6)",
    "duration_ms": "DOUBLE",
    "first_delta_ms": "DOUBLE",
    "cache": "VARCHAR",
    "user_agent": "VARCHAR",
}


def line_of(record: AccessRecord) -> bytes:
    """One line with its end.

    Raises:
        TypeError: a text in it is none that UTF-8 can say.
    """
    counted = {kind: None if record.tokens is None else record.tokens.get(kind, 0) for kind in KINDS}
    fields = {
        "ts": moment_of(record.at),
        "request_id": record.request_id,
        "project_id": record.project_id,
        "key_id": record.key_id,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "error": record.error,
        "model": record.model,
        "profile": record.profile,
        "stream": record.stream,
        **counted,
        "cost_usd": _dollars(record.cost_microusd),
        "duration_ms": record.duration_ms,
        "first_delta_ms": record.first_delta_ms,
        "cache": record.cache,
        "user_agent": record.user_agent,
    }
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _dollars(microusd: int | None) -> orjson.Fragment | None:
    """A number with six decimals, written as one: a float would round what it cannot say."""
    if microusd is None:
        return None
    sign = "-" if microusd < 0 else ""
    return orjson.Fragment(f"{sign}{abs(microusd) // 1_000_000}.{abs(microusd) % 1_000_000:06}")
