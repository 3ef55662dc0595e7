"""Knows how to count what a run used, from the model's events and from the CLI's own totals; it must not know prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pinnace.core.adapters.claude.metering import flat_usage
from pinnace.core.model.run import Outcome

#: The CLI's names in `modelUsage`, by the API's.
NAMES = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
}


@dataclass(slots=True)
class _Message:
    model: str
    usage: dict[str, int]


class Account:
    """What one run used so far.

    Each message of the model is counted from its own events: `message_start` gives the first figures, `message_delta` the
    final ones. What the CLI reports at the end settles the messages that were cut off, and the cost.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.finished = False
        self._open: dict[str | None, _Message] = {}
        self._cut: set[str] = set()
        self._by_model: dict[str, dict[str, int]] = {}
        self._cost = 0

    def see(self, event: Mapping[str, Any], stream: str | None = None) -> None:
        """Count an event of the model.

        Args:
            event: The event.
            stream: Whose message it is part of: a subagent's `parent_tool_use_id`, None for the run's own.
        """
        kind = event.get("type")
        if kind == "message_start":
            self.calls += 1
            self._cut_off(stream)
            message = event["message"]
            self._open[stream] = _Message(str(message.get("model", "")), flat_usage(message.get("usage") or {}))
        elif kind == "message_delta":
            self._open.setdefault(stream, _Message("", {})).usage |= flat_usage(event.get("usage") or {})
        elif kind == "message_stop" and stream in self._open:
            self._close(self._open.pop(stream))

    def settle(self, totals: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Take the CLI's totals at the end of the run, and those at its start: they add up over a process's life."""
        self.finished = True
        self._cost = round((totals.get("total_cost_usd", 0.0) - before.get("total_cost_usd", 0.0)) * 1_000_000)
        for stream in list(self._open):
            self._cut_off(stream)
        new: Mapping[str, Any] = totals.get("modelUsage") or {}
        old: Mapping[str, Any] = before.get("modelUsage") or {}
        for model in self._cut & new.keys():
            counted = self._by_model[model] = dict(self._by_model[model])
            for name, theirs in NAMES.items():
                used = new[model].get(theirs, 0) - old.get(model, {}).get(theirs, 0)
                if used > counted.get(name, 0):
                    counted[name] = used
        self._cut.clear()

    def outcome(self, *, warm: bool, fallback: str | None) -> Outcome:
        """Sum up."""
        by_model = dict(self._by_model)
        for message in self._open.values():
            by_model[message.model] = _sum(by_model.get(message.model, {}), message.usage)
        usage: dict[str, int] = {}
        for used in by_model.values():
            usage = _sum(usage, used)
        return Outcome(usage, self._cost, self.calls, by_model, warm, fallback)

    def _cut_off(self, stream: str | None) -> None:
        if stream in self._open:
            message = self._open.pop(stream)
            self._cut.add(message.model)
            self._close(message)

    def _close(self, message: _Message) -> None:
        self._by_model[message.model] = _sum(self._by_model.get(message.model, {}), message.usage)


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}
