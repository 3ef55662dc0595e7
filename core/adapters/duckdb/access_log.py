"""Knows the log of requests in files, and what is asked of it; see `pinnace.core.ports.AccessLog` for what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pinnace.core.adapters.duckdb.files import create, files_of
from pinnace.core.adapters.duckdb.reader import view
from pinnace.core.adapters.duckdb.writer import Writer
from pinnace.core.errors import StoreFailed
from pinnace.core.model.access_log import AccessRecord, AccessStats, HourStats, ModelStats, PathStats
from pinnace.core.ports import Clock

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The lines are read once; the three questions are asked of what is left of them. $project NULL stands for every project.
CHOSEN = """
CREATE TABLE chosen AS
SELECT model, path, strftime(ts, '%Y-%m-%dT%H:00:00Z') AS hour, error, input_tokens, output_tokens, cost_usd, duration_ms
FROM access_log
WHERE $project IS NULL OR project_id = $project
"""
BY_MODEL = """
SELECT model, count(*) AS requests, coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost_usd), 0), round(favg(duration_ms), 3), quantile_disc(duration_ms, 0.5), quantile_disc(duration_ms, 0.95)
FROM chosen
WHERE model IS NOT NULL
GROUP BY model
ORDER BY requests DESC, model
"""
BY_HOUR = "SELECT hour, count(*), count(error) FROM chosen GROUP BY hour ORDER BY hour"
BY_PATH = """
SELECT path, count(*) AS requests, quantile_disc(duration_ms, 0.5), quantile_disc(duration_ms, 0.95),
    quantile_disc(duration_ms, 0.99), max(duration_ms)
FROM chosen
GROUP BY path
ORDER BY requests DESC, path
"""


class DuckAccessLog:
    """`AccessLog` in files of JSON lines; `days` is how many days before today are kept."""

    def __init__(self, directory: Path, clock: Clock, days: int, opener: Callable[[Path], int] = create) -> None:
        self._directory = directory
        self._writer = Writer(directory, clock, days, opener)
        self._executor: ThreadPoolExecutor | None = None

    @property
    def lost(self) -> int:
        return self._writer.lost

    def add(self, record: AccessRecord) -> None:
        self._writer.add(record)

    async def stats(self, project_id: str | None, first: str, last: str) -> AccessStats:
        if self._executor is None:
            # One question after the other: each of them reads whole files.
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="access-log-stats")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._stats, project_id, first, last)

    async def aclose(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._writer.close)

    def _stats(self, project_id: str | None, first: str, last: str) -> AccessStats:
        self._writer.flush()
        with view(files_of(self._directory, first, last)) as connection:
            import duckdb  # noqa: PLC0415 - it is there by now

            try:
                return _answers(connection, project_id)
            except duckdb.Error as error:
                raise StoreFailed("The access log cannot be read at the moment; a shorter period may help.") from error


def _answers(connection: DuckDBPyConnection, project_id: str | None) -> AccessStats:
    connection.execute(CHOSEN, {"project": project_id})
    models = connection.execute(BY_MODEL).fetchall()
    hours = connection.execute(BY_HOUR).fetchall()
    paths = connection.execute(BY_PATH).fetchall()
    return AccessStats(
        by_model=[
            ModelStats(model, requests, read, written, _microusd(cost), average, p50, p95)
            for model, requests, read, written, cost, average, p50, p95 in models
        ],
        by_hour=[HourStats(*row) for row in hours],
        by_path=[PathStats(*row) for row in paths],
    )


def _microusd(dollars: Decimal) -> int:
    return int(dollars * 1_000_000)
