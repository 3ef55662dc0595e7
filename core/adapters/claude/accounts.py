"""Knows how to count what a run used, from the model's events and from the CLI's own totals; it must not know prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pinnace.core.model.run import Outcome

#: The CLI's names in `modelUsage`, by the API's.
NAMES = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
}


class Account:
    """What one run used so far.

    Each message of the model is counted from its own events: `message_start` gives the first figures, `message_delta` the
    final ones. What the CLI reports at the end settles a message that was cut off, and the cost.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.finished = False
        self._ended: dict[str, int] = {}
        self._present: dict[str, int] = {}
        self._model = ""
        self._by_model: dict[str, dict[str, int]] = {}
        self._cost = 0

    def see(self, event: Mapping[str, Any]) -> None:
        """Count an event of the model's stream."""
        kind = event.get("type")
        if kind == "message_start":
            self.calls += 1
            self._present = _numbers(event["message"].get("usage") or {})
            self._model = str(event["message"].get("model", ""))
        elif kind == "message_delta":
            self._present |= _numbers(event.get("usage") or {})
        elif kind == "message_stop":
            self._close()

    def settle(self, totals: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Take the CLI's totals at the end of the run, and those at its start: they add up over a process's life."""
        self.finished = True
        self._cost = round((totals.get("total_cost_usd", 0.0) - before.get("total_cost_usd", 0.0)) * 1_000_000)
        if not self._present:
            return
        old: Mapping[str, Any] = before.get("modelUsage") or {}
        for model, counts in (totals.get("modelUsage") or {}).items():
            for name, theirs in NAMES.items():
                used = counts.get(theirs, 0) - old.get(model, {}).get(theirs, 0)
                counted = self._by_model.get(model, {}).get(name, 0)
                if model == self._model and used > counted:
                    self._present[name] = used - counted
        self._close()

    def outcome(self, *, warm: bool, fallback: str | None) -> Outcome:
        """Sum up."""
        usage = _sum(self._ended, self._present)
        by_model = dict(self._by_model)
        if self._present:
            by_model[self._model] = _sum(by_model.get(self._model, {}), self._present)
        return Outcome(usage, self._cost, self.calls, by_model, warm, fallback)

    def _close(self) -> None:
        self._ended = _sum(self._ended, self._present)
        self._by_model[self._model] = _sum(self._by_model.get(self._model, {}), self._present)
        self._present = {}


def _numbers(usage: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in usage.items() if isinstance(value, int) and not isinstance(value, bool)}


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}
