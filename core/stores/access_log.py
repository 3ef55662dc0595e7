"""Knows how settings become the log of requests."""

from __future__ import annotations

from pinnace.core.model.access_log import LogRows
from pinnace.core.ports import AccessLog, Clock
from pinnace.core.settings import Settings

#: The directory of the log of requests, within `data_dir`.
ACCESS_LOG = "access"


def open_access_log(settings: Settings, clock: Clock) -> AccessLog:
    """Make the log of requests; nothing is opened before the first of them."""
    from pinnace.core.adapters.memory.access_log import MemoryAccessLog, NoAccessLog

    if not settings.access_log.enabled:
        return NoAccessLog()
    if settings.store == "memory":
        return MemoryAccessLog()
    from pinnace.core.adapters.duckdb.access_log import DuckAccessLog

    return DuckAccessLog(settings.data_dir / ACCESS_LOG, clock, settings.access_log.days)


def query_access_log(settings: Settings, statement: str) -> LogRows:
    """Run one `SELECT` over the log of requests that lies in `data_dir`.

    Raises:
        InvalidRequest: it is none, or it is wrong.
        PartMissing: DuckDB is not installed.
    """
    from pinnace.core.adapters.duckdb.reader import query

    return query(settings.data_dir / ACCESS_LOG, statement)
