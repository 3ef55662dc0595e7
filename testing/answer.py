"""Knows how a turn of a script becomes the events of one answer; it must not know HTTP.

Source of the shapes: the Messages API's streaming reference, and the types of the `anthropic` package.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnace.testing.script import Step, Turn, words


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for the stream that are no event."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Silence for `seconds`; None is forever."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection drops here."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header of the answer; it counts where the answer has not begun."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error where the answer has not begun, an `error` event where it has."""

    status: int
    kind: str
    message: str


Piece = Event | Raw | Wait | Cut | Header | Failure

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
SIGNATURE = "c2NyaXB0ZWQtc2lnbmF0dXJl"
_numbers = itertools.count(1)


def estimate_tokens(body: Mapping[str, Any]) -> int:
    """Count the tokens of a request: a quarter of its characters, which is near enough for a script."""
    counted = {name: body[name] for name in ("system", "messages", "tools") if name in body}
    return max(1, len(json.dumps(counted, ensure_ascii=False)) // 4)


@dataclass(slots=True)
class Answer:
    """One answer being written: the state that the steps change."""

    body: Mapping[str, Any]
    index: int = 0
    pace: float = 0.0
    output_tokens: int = 0
    stop: tuple[str | None, str | None] = (None, None)
    usage: dict[str, Any] = field(default_factory=dict)
    called: bool = False

    def pieces(self, turn: Turn | None, counts: Callable[[str, Step], bool]) -> Iterator[Piece]:
        """Yield the whole answer; `counts(key, step)` says whether a step that counts requests still does."""
        steps = turn.steps if turn else (Step("text", json.dumps(self._unscripted())),)
        steps = tuple(step for step in steps if turn is None or counts(turn.key, step))
        self.usage = next((json.loads(s.argument) for s in reversed(steps) if s.name == "usage"), {})
        begun = False
        for step in steps:
            if step.name in ("header", "delay", "hang", "cut", "error") or begun:
                yield from self._step(step)
                continue
            if step.name not in ("stop", "usage", "pace"):
                begun = True
                yield Event(self._start())
            yield from self._step(step)
        if not begun:
            yield Event(self._start())
        yield from self._end()

    def _step(self, step: Step) -> Iterator[Piece]:
        method: Callable[[str], Iterator[Piece]] = getattr(self, f"_{step.name}")
        return method(step.argument)

    def _unscripted(self) -> str:
        said = ""
        for message in self.body.get("messages", []):
            if message.get("role") == "user":
                content = message.get("content")
                texts = [content] if isinstance(content, str) else [b.get("text", "") for b in content or []]
                said = next((text for text in reversed(texts) if text.strip()), said)
        return f"You said: {said.strip()}"

    def _start(self) -> dict[str, Any]:
        usage = {
            "input_tokens": estimate_tokens(self.body),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
            "service_tier": "standard",
        }
        usage |= {name: value for name, value in self.usage.items() if name != "output_tokens"}
        message = {
            "id": f"msg_scripted{next(_numbers):012d}",
            "type": "message",
            "role": "assistant",
            "model": self.body.get("model", ""),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return {"type": "message_start", "message": message}

    def _end(self) -> Iterator[Piece]:
        reason, sequence = self.stop
        usage: dict[str, Any] = {"output_tokens": max(1, self.output_tokens)} | self.usage
        delta = {"stop_reason": reason or ("tool_use" if self.called else "end_turn"), "stop_sequence": sequence}
        yield Event({"type": "message_delta", "delta": delta, "usage": usage})
        yield Event({"type": "message_stop"})

    def _written(self, start: dict[str, Any], deltas: Iterator[dict[str, Any]]) -> Iterator[Piece]:
        yield Event({"type": "content_block_start", "index": self.index, "content_block": start})
        for delta in deltas:
            if self.pace:
                yield Wait(self.pace)
            self.output_tokens += 1
            yield Event({"type": "content_block_delta", "index": self.index, "delta": delta})
        yield Event({"type": "content_block_stop", "index": self.index})
        self.index += 1

    def _text(self, argument: str) -> Iterator[Piece]:
        deltas = ({"type": "text_delta", "text": word} for word in words(argument))
        return self._written({"type": "text", "text": ""}, deltas)

    def _deltas(self, argument: str) -> Iterator[Piece]:
        number, _, text = argument.partition(" ")
        deltas = ({"type": "text_delta", "text": text or "word "} for _ in range(int(number)))
        return self._written({"type": "text", "text": ""}, deltas)

    def _echo(self, _: str) -> Iterator[Piece]:
        return self._text(json.dumps(json.dumps(self.body, ensure_ascii=False)))

    def _thinking(self, argument: str) -> Iterator[Piece]:
        thoughts: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": word} for word in words(argument)]
        signed = [*thoughts, {"type": "signature_delta", "signature": SIGNATURE}]
        return self._written({"type": "thinking", "thinking": "", "signature": ""}, iter(signed))

    def _tool(self, argument: str) -> Iterator[Piece]:
        self.called = True
        name, _, text = argument.partition(" ")
        fragments = [text[i : i + 12] for i in range(0, len(text), 12)]
        start = {"type": "tool_use", "id": f"toolu_scripted{next(_numbers):010d}", "name": name, "input": {}}
        deltas = ({"type": "input_json_delta", "partial_json": part} for part in ["", *fragments])
        return self._written(start, deltas)

    def _block(self, argument: str) -> Iterator[Piece]:
        return self._written(json.loads(argument), iter(()))

    def _pace(self, argument: str) -> Iterator[Piece]:
        self.pace = float(argument)
        return iter(())

    def _stop(self, argument: str) -> Iterator[Piece]:
        reason, _, sequence = argument.partition(" ")
        self.stop = (reason, sequence or None)
        return iter(())

    def _usage(self, _: str) -> Iterator[Piece]:
        return iter(())

    def _delay(self, argument: str) -> Iterator[Piece]:
        yield Wait(float(argument))

    def _ping(self, _: str) -> Iterator[Piece]:
        yield Event({"type": "ping"})

    def _event(self, argument: str) -> Iterator[Piece]:
        yield Event(json.loads(argument))

    def _garbage(self, argument: str) -> Iterator[Piece]:
        yield Raw(argument.encode())

    def _header(self, argument: str) -> Iterator[Piece]:
        name, _, value = argument.partition(" ")
        yield Header(name, value)

    def _error(self, argument: str) -> Iterator[Piece]:
        status, _, rest = argument.partition(" ")
        kind, _, message = rest.partition(" ")
        code = int(status)
        yield Failure(code, kind or KINDS.get(code, "api_error"), message or f"scripted failure {code}")

    def _cut(self, _: str) -> Iterator[Piece]:
        yield Cut()

    def _hang(self, _: str) -> Iterator[Piece]:
        yield Wait(None)
