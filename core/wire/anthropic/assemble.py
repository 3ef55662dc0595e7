"""Knows how the events of one answer add up to a message, and back; it must not know whether they came in good order.

The sums are those of the SDK's own accumulation (`anthropic/lib/streaming/_messages.py` and `_beta_messages.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from pydantic_core import from_json

# What a delta replaces; anything else that is text is appended.
_REPLACED: Final = frozenset({"signature_delta", "compaction_delta"})
_LEGACY_NULLS: Final = ("citations", "caller")
_FINAL_USAGE: Final = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "server_tool_use",
        "output_tokens_details",
        "iterations",
        "fallback_credit",
    }
)


class MessageAssembler:
    """Adds up the events of one answer."""

    def __init__(self) -> None:
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, _Block] = {}

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take the next event; one that says nothing about the message changes nothing."""
        kind = event["type"]
        if kind == "message_start":
            self._message = dict(event["message"])
        elif kind == "content_block_start":
            self._blocks[event["index"]] = _Block(event["content_block"])
        elif kind == "content_block_delta":
            self._blocks[event["index"]].add(event["delta"])
        elif kind == "message_delta":
            self._finish(event)

    def message(self) -> dict[str, Any]:
        """Give the message as far as it has come.

        Raises:
            ValueError: No message has started.
        """
        if self._message is None:
            raise ValueError("no message_start has come")
        message = dict(self._message)
        blocks = [self._blocks[index].value() for index in sorted(self._blocks)]
        message["content"] = [*message.get("content", ()), *blocks]
        for block in blocks:
            if block.get("type") == "fallback":
                # The last hop's block names the model that answered.
                message["model"] = block["to"]["model"]
        return message

    def block(self, index: int) -> dict[str, Any]:
        """Give one block as far as it has come."""
        return self._blocks[index].value()

    def _finish(self, event: Mapping[str, Any]) -> None:
        if self._message is None:
            raise ValueError("message_delta came before message_start")
        for name, value in event["delta"].items():
            if value is not None or name != "container":
                self._message[name] = value
        for name, value in event.items():
            if value is not None and name not in ("type", "delta", "usage"):
                self._message[name] = value
        # Counts are totals, not increments; one that is left out keeps its value from message_start.
        told = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
        self._message["usage"] = {**(self._message.get("usage") or {}), **told}


class _Block:
    """Adds up one block; text is kept in pieces until it is asked for, because a long answer has very many."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        self._fields = {name: value for name, value in start.items() if value is not None or name not in _LEGACY_NULLS}
        self._pieces: dict[str, list[str]] = {}
        self._json: list[str] = []

    def add(self, delta: Mapping[str, Any]) -> None:
        kind = delta["type"]
        if kind == "input_json_delta":
            self._json.append(delta["partial_json"])
        elif kind == "citations_delta":
            self._fields["citations"] = [*(self._fields.get("citations") or ()), delta["citation"]]
        else:
            for name, value in delta.items():
                if name != "type":
                    self._add_field(name, value, replace=kind in _REPLACED)

    def _add_field(self, name: str, value: Any, *, replace: bool) -> None:
        present = self._fields.get(name)
        if replace or not isinstance(value, str) or not isinstance(present, str | None):
            self._pieces.pop(name, None)
            self._fields[name] = value
            return
        pieces = self._pieces.setdefault(name, [present or ""])
        pieces.append(value)

    def value(self) -> dict[str, Any]:
        block = {**self._fields, **{name: "".join(pieces) for name, pieces in self._pieces.items()}}
        text = "".join(self._json)
        if text:
            block["input"] = _read_input(text)
        return block


def _read_input(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        # The answer was cut short (max_tokens) within the call.
        return from_json(text, allow_partial=True)
    except ValueError:
        # The form that Anthropic's page on fine-grained tool streaming asks for when such input is sent back.
        return {"INVALID_JSON": text}


def replay(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Tell a complete message as the events of a stream, one delta for each text.

    Args:
        message: A message as an answer without streaming carries it.

    Yields:
        Well-formed events, which add up to the message again.
    """
    usage = message.get("usage") or {}
    final = {name: value for name, value in usage.items() if name in _FINAL_USAGE and value is not None}
    yield {"type": "message_start", "message": _opening(message, usage)}
    for index, block in enumerate(message["content"]):
        start, deltas = _unfold(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence")}
    for name in ("stop_details", "container"):
        if message.get(name) is not None:
            delta[name] = message[name]
    closing = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 0, **final}}
    if message.get("context_management") is not None:
        closing["context_management"] = message["context_management"]
    yield closing
    yield {"type": "message_stop"}


def _opening(message: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    opening.pop("context_management", None)
    if "stop_details" in opening:
        opening["stop_details"] = None
    # Small, as in reality: LangChain JS adds it to the final count.
    opening["usage"] = {**usage, "output_tokens": min(1, usage.get("output_tokens") or 0)}
    return opening


def _unfold(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give how a block starts, and the deltas that complete it; a block without deltas starts complete."""
    kind = block["type"]
    start = {name: value for name, value in block.items() if value is not None or name not in _LEGACY_NULLS}
    deltas: list[dict[str, Any]] = []
    if kind == "text":
        deltas = _take_text(start, "text", "text_delta") + _take_citations(start)
    elif kind == "thinking":
        deltas = _take_text(start, "thinking", "thinking_delta") + _take_text(start, "signature", "signature_delta")
    elif kind.endswith("tool_use") and start.get("input") not in (None, {}):
        deltas = [{"type": "input_json_delta", "partial_json": orjson.dumps(start["input"]).decode()}]
        start["input"] = {}
    elif kind == "compaction":
        held: dict[str, Any] = {name: start[name] for name in ("content", "encrypted_content") if name in start}
        deltas = [{**held, "type": "compaction_delta"}]
        start.update(dict.fromkeys(held))
    return start, deltas


def _take_text(start: dict[str, Any], name: str, kind: str) -> list[dict[str, Any]]:
    text = start.get(name)
    if not text:
        return []
    start[name] = ""
    return [{"type": kind, name: text}]


def _take_citations(start: dict[str, Any]) -> list[dict[str, Any]]:
    citations = start.get("citations") or []
    if citations:
        start["citations"] = []
    return [{"type": "citations_delta", "citation": citation} for citation in citations]
