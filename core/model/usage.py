"""Knows what is written down of each call, and what is added up; it must not know how it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

#: The kinds of tokens that are counted, by the API's own names.
KINDS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


@dataclass(frozen=True, slots=True)
class Use:
    """What was used of one model: tokens by kind, and millionths of a dollar."""

    tokens: Mapping[str, int] = field(default_factory=dict)
    microusd: int = 0

    def __add__(self, other: Use) -> Use:
        tokens = {kind: self.tokens.get(kind, 0) + other.tokens.get(kind, 0) for kind in KINDS}
        return Use(tokens, self.microusd + other.microusd)

    @property
    def total_tokens(self) -> int:
        return sum(self.tokens.get(kind, 0) for kind in KINDS)


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One call, however it ended. `status` is its HTTP status, 499 where the caller left; times are in seconds.

    `by_model` holds what was used of each model; a call that never reached one has none. `cost_known` is False where a model
    had no price.
    """

    request_id: str
    at: float
    project_id: str
    key_id: str | None
    model: str
    profile: str
    path: str
    status: int
    error: str | None
    by_model: Mapping[str, Use]
    duration: float
    first_delta: float | None = None
    cost_known: bool = True

    def used(self) -> Mapping[str, Use]:
        """What counts into the totals: a call that reached no model counts as one of the model that was asked for."""
        return self.by_model or {self.model: Use()}


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The sum over the calls of one project, key, model and day (`2026-11-21`, UTC)."""

    day: str
    key_id: str | None
    model: str
    requests: int
    use: Use


def day_of(now: float) -> str:
    """The day of a moment, in UTC: `2026-11-21`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
