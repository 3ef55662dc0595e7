"""Knows how a message, or the events of one, looks as a chat completion or its chunks; it must not know how either travels.

Text becomes `content`, thinking `reasoning_content`, calls of the caller's tools `tool_calls`. Everything else (an agent's
own steps, server tools, signatures) has no place in a completion and is left out. Texts between which something else
stood are kept apart by an empty line; texts that follow each other are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from pinnace.core.wire.openai.usage import render_usage

Chunk = dict[str, Any]

FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_GAP: Final = "\n\n"
# The block that holds it, which is also the name of its text there, and the name of that text in a completion.
_TEXTS: Final[Mapping[str, str]] = {"text": "content", "thinking": "reasoning_content"}
_DELTAS: Final[Mapping[str, str]] = {"text_delta": "text", "thinking_delta": "thinking"}


def completion_id(request_id: str) -> str:
    """Name a completion after its request, so that one can be found by the other."""
    return f"chatcmpl-{request_id.removeprefix('req_')}"


def complete(
    message: Mapping[str, Any], *, name: str, model: str, created: int, cost_usd: float | None = None
) -> dict[str, Any]:
    """Write a whole message as a completion.

    Args:
        message: An Anthropic message.
        name: The completion's id.
        model: The model to name.
        created: Seconds since 1970.
        cost_usd: What it cost, where that is known.
    """
    content = message["content"]
    answer: dict[str, Any] = {"role": "assistant", "content": _joined(content, "text") or None, "refusal": None}
    reasoning = _joined(content, "thinking")
    if reasoning:
        answer["reasoning_content"] = reasoning
    calls = [_render_call(block) for block in content if block["type"] == "tool_use"]
    if calls:
        answer["tool_calls"] = calls
    finish = _finish_reason(message.get("stop_reason"))
    return {
        "id": name,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": answer, "logprobs": None, "finish_reason": finish}],
        "usage": render_usage(message.get("usage") or {}, cost_usd),
    }


class ChunkWriter:
    """Writes the events of one answer as chunks.

    `feed` takes the events in their order; `finish` comes after the last one, when the cost is known. An answer that
    broke off has no last chunk: neither a finish reason nor usage.
    """

    def __init__(self, *, name: str, model: str, created: int, include_usage: bool = False) -> None:
        self._heading = {"id": name, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._ended = False
        self._texts = _Texts()
        self._calls: dict[int, _Call] = {}

    def feed(self, event: Mapping[str, Any]) -> list[Chunk]:
        """Take the next event and give the chunks that it amounts to, often none."""
        return list(self._read(event))

    def finish(self, cost_usd: float | None = None) -> list[Chunk]:
        """Give what follows the last event: the usage, where it was asked for and the answer is whole."""
        if not self._include_usage or not self._ended:
            return []
        return [{**self._heading, "choices": [], "usage": render_usage(self._usage, cost_usd)}]

    def _read(self, event: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = event["type"]
        if kind == "message_start":
            self._count(event["message"].get("usage"))
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "content_block_start":
            yield from self._start(event["index"], event["content_block"])
        elif kind == "content_block_delta":
            yield from self._continue(event["index"], event["delta"])
        elif kind == "content_block_stop":
            yield from self._stop(event["index"])
        elif kind == "message_delta":
            self._count(event.get("usage"))
            self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
        elif kind == "message_stop":
            self._ended = True
            yield self._chunk({}, _finish_reason(self._stop_reason))

    def _start(self, index: int, block: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = block["type"]
        self._texts.enter(kind)
        if kind in _TEXTS:
            yield from self._write(kind, block.get(kind))
        elif kind == "tool_use":
            call = self._calls[index] = _Call(len(self._calls), block.get("input") or {})
            heading = {"index": call.index, "id": block["id"], "type": "function"}
            yield self._chunk({"tool_calls": [{**heading, "function": {"name": block["name"], "arguments": ""}}]})

    def _continue(self, index: int, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = delta["type"]
        if kind in _DELTAS:
            yield from self._write(_DELTAS[kind], delta[_DELTAS[kind]])
        elif kind == "input_json_delta" and index in self._calls:
            yield from self._argue(self._calls[index], delta["partial_json"])

    def _stop(self, index: int) -> Iterator[Chunk]:
        call = self._calls.get(index)
        if call is not None and not call.begun:
            # No fragment came, but a client reads the arguments as JSON.
            yield from self._argue(call, orjson.dumps(call.input).decode())

    def _write(self, kind: str, text: str | None) -> Iterator[Chunk]:
        if text:
            yield self._chunk({_TEXTS[kind]: self._texts.add(kind, text)})

    def _argue(self, call: _Call, arguments: str) -> Iterator[Chunk]:
        if arguments:
            call.begun = True
            yield self._chunk({"tool_calls": [{"index": call.index, "function": {"arguments": arguments}}]})

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> Chunk:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        # As in OpenAI's own: where usage was asked for, every other chunk says that it has none.
        return {**self._heading, "choices": [choice]} | ({"usage": None} if self._include_usage else {})

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        # Counts are totals, not increments; one that is left out keeps its value.
        self._usage |= {name: value for name, value in (usage or {}).items() if value is not None}


class _Call:
    """A call that is being written: its place among the calls, its input as far as it came with its start."""

    def __init__(self, index: int, given: Mapping[str, Any]) -> None:
        self.index, self.input, self.begun = index, given, False


class _Texts:
    """Tells where a gap is needed: before a text that follows an earlier one of its kind, with another block between them."""

    def __init__(self) -> None:
        self._written: set[str] = set()
        self._apart: set[str] = set()

    def enter(self, kind: str) -> None:
        """Take note of a block that begins."""
        self._apart |= self._written - {kind}

    def add(self, kind: str, text: str) -> str:
        """Give a text as it is to be written."""
        gap = _GAP if kind in self._apart else ""
        self._apart.discard(kind)
        self._written.add(kind)
        return gap + text


def _joined(content: Sequence[Mapping[str, Any]], kind: str) -> str:
    texts = _Texts()
    parts: list[str] = []
    for block in content:
        texts.enter(block["type"])
        if block["type"] == kind and block[kind]:
            parts.append(texts.add(kind, block[kind]))
    return "".join(parts)


def _render_call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(block["input"]).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _finish_reason(stop_reason: str | None) -> str:
    """Name the reason; one that is not known is an end like any other, since clients take no others."""
    return FINISH_REASONS.get(stop_reason or "end_turn", "stop")
