"""Knows how the log of requests is kept in memory, or not at all; see `pinnace.core.ports.AccessLog` for what it promises."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from pinnace.core.errors import PartMissing
from pinnace.core.model.access_log import (
    AccessRecord,
    AccessStats,
    HourStats,
    ModelStats,
    PathStats,
    moment_of,
    percentile,
)

#: Records that are kept; the oldest go first.
MOST = 100_000


class MemoryAccessLog:
    """`AccessLog` of one process."""

    lost = 0

    def __init__(self, most: int = MOST) -> None:
        self._lock = threading.Lock()
        self._records: deque[AccessRecord] = deque(maxlen=most)

    def add(self, record: AccessRecord) -> None:
        with self._lock:
            self._records.append(record)

    async def stats(self, project_id: str | None, first: str, last: str) -> AccessStats:
        with self._lock:
            found = [record for record in self._records if project_id in (None, record.project_id)]
        within = [record for record in found if first <= moment_of(record.at)[:10] <= last]
        models = [_of_model(*group) for group in _grouped(within, lambda record: record.model)]
        hours = [_of_hour(*group) for group in _grouped(within, _hour)]
        paths = [_of_path(*group) for group in _grouped(within, lambda record: record.path)]
        return AccessStats(
            by_model=sorted(models, key=lambda one: (-one.requests, one.model)),
            by_hour=sorted(hours, key=lambda one: one.hour),
            by_path=sorted(paths, key=lambda one: (-one.requests, one.path)),
        )

    async def aclose(self) -> None:
        """There is nothing to write."""


class NoAccessLog:
    """`AccessLog` that is switched off."""

    lost = 0

    def add(self, record: AccessRecord) -> None:
        """See `AccessLog`."""

    async def stats(self, project_id: str | None, first: str, last: str) -> AccessStats:  # noqa: ARG002 - the port's signature
        raise PartMissing("This server keeps no log of its requests: access_log.enabled is false.")

    async def aclose(self) -> None:
        """See `AccessLog`."""


def _grouped(
    records: Iterable[AccessRecord], name: Callable[[AccessRecord], str | None]
) -> Iterable[tuple[str, Sequence[AccessRecord]]]:
    groups: Mapping[str, list[AccessRecord]] = defaultdict(list)
    for record in records:
        if (key := name(record)) is not None:
            groups[key].append(record)
    return groups.items()


def _hour(record: AccessRecord) -> str:
    return f"{moment_of(record.at)[:13]}:00:00Z"


def _durations(records: Sequence[AccessRecord]) -> list[float]:
    return sorted(record.duration_ms for record in records)


def _of_model(model: str, records: Sequence[AccessRecord]) -> ModelStats:
    taken = _durations(records)
    return ModelStats(
        model=model,
        requests=len(records),
        input_tokens=sum((record.tokens or {}).get("input_tokens", 0) for record in records),
        output_tokens=sum((record.tokens or {}).get("output_tokens", 0) for record in records),
        cost_microusd=sum(record.cost_microusd or 0 for record in records),
        avg_duration_ms=round(math.fsum(taken) / len(taken), 3),
        p50_ms=percentile(taken, 50),
        p95_ms=percentile(taken, 95),
    )


def _of_hour(hour: str, records: Sequence[AccessRecord]) -> HourStats:
    return HourStats(hour, len(records), sum(record.error is not None for record in records))


def _of_path(path: str, records: Sequence[AccessRecord]) -> PathStats:
    taken = _durations(records)
    return PathStats(path, len(records), percentile(taken, 50), percentile(taken, 95), percentile(taken, 99), taken[-1])
