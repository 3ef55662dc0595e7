"""Knows what is written down of each request, and what is asked of many of them; it must not know how it is kept.

A percentile is the nearest rank: of n durations in order, the one at place ⌈n·p/100⌉. It is always one that was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One request, when its answer had ended: `at` is seconds since the epoch, `path` the route's template.

    `error` is None where it was answered without one, and only there. `tokens`, by the API's own names, is None where no
    call to a model was asked for; `cost_microusd` also where a model has no price. `cache` is `hit`, `miss` or None.
    """

    at: float
    request_id: str
    project_id: str | None
    key_id: str | None
    method: str
    path: str
    status: int
    error: str | None
    model: str | None
    profile: str | None
    stream: bool
    tokens: Mapping[str, int] | None
    cost_microusd: int | None
    duration_ms: float
    first_delta_ms: float | None
    cache: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True)
class ModelStats:
    """The requests that one model answered, or was to answer."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_microusd: int
    avg_duration_ms: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class HourStats:
    """The requests of one hour of UTC (`2026-11-21T10:00:00Z`)."""

    hour: str
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class PathStats:
    """The requests of one route."""

    path: str
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class AccessStats:
    """The requests of some days: hours in their order, models and paths by the number of their requests, then by name.

    An hour without a request is not there. Requests without a model are in no `ModelStats`.
    """

    by_model: Sequence[ModelStats] = ()
    by_hour: Sequence[HourStats] = ()
    by_path: Sequence[PathStats] = ()

    @property
    def requests(self) -> int:
        return sum(hour.requests for hour in self.by_hour)

    @property
    def errors(self) -> int:
        return sum(hour.errors for hour in self.by_hour)


@dataclass(frozen=True, slots=True)
class LogRows:
    """What a query of the log gives."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def moment_of(at: float) -> str:
    """A moment of UTC to the millisecond, as the log has it: `2026-11-21T10:00:00.000Z`; it begins with its day."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds')[:23]}Z"


def percentile(ascending: Sequence[float], percent: int) -> float:
    """The nearest rank; there must be a value."""
    # In whole numbers: 0.95 * 20 is no 19 in every arithmetic.
    return ascending[max(1, -(-len(ascending) * percent // 100)) - 1]
