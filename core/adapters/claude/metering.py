"""Knows how to read what a call used from the bytes of its answer, streamed or whole; it must not know where they go."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import orjson


class UsageReader:
    """Reads an answer as it passes; `usage` is what is known so far, by the API's own names.

    Of an answer that is cut off only the beginning's figures are known; each delta that was seen counts as a token then.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._reported: dict[str, int] = {}
        self._deltas = 0
        self._ended = False

    @property
    def usage(self) -> dict[str, int]:
        # A copy reads what waits for the end of its line, because there may be none, or more of it.
        seen = copy.copy(self)
        seen._read(seen._rest)
        if seen._ended:
            return dict(seen._reported)
        return seen._reported | {"output_tokens": max(seen._deltas, seen._reported.get("output_tokens", 0))}

    def feed(self, piece: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._read(line)

    def _read(self, line: bytes) -> None:
        if b'"usage"' not in line:
            self._deltas += b'"content_block_delta"' in line
            return
        try:
            event = orjson.loads(line.removeprefix(b"data:"))
        except orjson.JSONDecodeError:
            return
        if isinstance(event, dict):
            self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        kind, message = event.get("type"), event.get("message")
        if kind == "message_start" and isinstance(message, dict):
            self._reported = self._reported | flat_usage(message.get("usage"))
        elif kind in ("message_delta", "message"):
            self._reported = self._reported | flat_usage(event.get("usage"))
            self._ended = True
        elif kind == "content_block_delta":
            self._deltas += 1


def flat_usage(usage: Any) -> dict[str, int]:
    """The counts of a `usage` object, with those that prices need out of its inner objects; of anything else none."""
    if not isinstance(usage, Mapping):
        return {}
    flat = {name: value for name, value in usage.items() if isinstance(value, int) and not isinstance(value, bool)}
    written, tools = usage.get("cache_creation"), usage.get("server_tool_use")
    if isinstance(written, dict) and isinstance(written.get("ephemeral_1h_input_tokens"), int):
        flat["cache_creation_1h_input_tokens"] = written["ephemeral_1h_input_tokens"]
    if isinstance(tools, dict) and isinstance(tools.get("web_search_requests"), int):
        flat["web_search_requests"] = tools["web_search_requests"]
    if usage.get("service_tier") == "batch":
        flat["batch_calls"] = 1
    return flat


def call_of(body: bytes) -> Mapping[str, Any]:
    """A call's body; what is none says nothing, and so is bounded by the model alone."""
    try:
        call = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return call if isinstance(call, dict) else {}
