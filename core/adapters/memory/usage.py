"""Knows how usage is kept in memory; see `pinnace.core.ports.UsageStore` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice

from pinnace.core.model.usage import UsageRecord, UsageTotal, Use, day_of


class MemoryUsageStore:
    """`UsageStore` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, UsageRecord] = {}
        self._totals: dict[tuple[str, str, str | None, str], UsageTotal] = {}

    async def add(self, record: UsageRecord) -> None:
        with self._lock:
            if record.request_id in self._records:
                return
            self._records[record.request_id] = record
            day = day_of(record.at)
            for model, use in record.used().items():
                name = (record.project_id, day, record.key_id, model)
                before = self._totals.get(name, UsageTotal(day, record.key_id, model, 0, Use()))
                self._totals[name] = UsageTotal(day, record.key_id, model, before.requests + 1, before.use + use)

    async def totals(self, project_id: str, first: str, last: str, key_id: str | None = None) -> Sequence[UsageTotal]:
        with self._lock:
            found = [total for (project, *_), total in self._totals.items() if project == project_id]
        within = [total for total in found if first <= total.day <= last and key_id in (None, total.key_id)]
        return sorted(within, key=lambda total: (total.day, total.key_id or "", total.model))

    async def records(self, project_id: str, limit: int) -> Sequence[UsageRecord]:
        with self._lock:
            latest = reversed(self._records.values())
            return list(islice((record for record in latest if record.project_id == project_id), limit))
