"""Knows the frames that a client of `/v1/stream` gets; it must not know how they travel or what made the events.

A turn is `start`, then `token`, `thinking`, `tool` and `tool_result` as they come, then one of `done`, `cancelled` and `error`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.admin.money import dollars
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.anthropic.errors import render
from pinnace.core.wire.anthropic.steps import FOR_PRICES, SERVER_NAME

OutFrame = dict[str, Any]

PONG: Final[Mapping[str, Any]] = {"type": "pong"}
#: What holds text, the delta that continues it, and the frame that carries it.
_TEXTS: Final = {"text": "token", "thinking": "thinking", "text_delta": "token", "thinking_delta": "thinking"}
#: What a header says of any call, a frame says under this name.
_NAMES: Final = {"x-session-id": "session"}


class TurnFrames:
    """Writes the frames of one turn; `turn_id` is the caller's name for it, `request_id` is ours."""

    def __init__(self, turn_id: str, request_id: str) -> None:
        self.turn_id, self.request_id = turn_id, request_id
        self._assembler = MessageAssembler()

    def feed(self, event: Mapping[str, Any]) -> Iterator[OutFrame]:
        """Take the next event and yield what the client sees of it."""
        self._assembler.feed(event)
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
            about = {"model": message.get("model"), "message_id": message.get("id"), "request_id": self.request_id}
            yield self._frame("start", **about)
        elif kind == "content_block_start":
            yield from self._text(event["content_block"])
        elif kind == "content_block_delta":
            yield from self._text(event["delta"])
        elif kind == "content_block_stop":
            yield from self._whole(self._assembler.block(event["index"]))

    def done(self, cost_microusd: int | None, *, session: str | None, cache: str | None) -> OutFrame:
        """The turn is complete; None is a cost that nobody knows."""
        message = self._assembler.message()
        usage = {name: count for name, count in (message.get("usage") or {}).items() if name != "cost_usd"}
        frame = self._frame(
            "done", stop_reason=message.get("stop_reason"), message=message, usage=usage, cost_usd=_cost(cost_microusd)
        )
        told = {"session": session, "cache": cache}
        return frame | {name: value for name, value in told.items() if value is not None}

    def cancelled(self, usage: Mapping[str, int], cost_microusd: int | None) -> OutFrame:
        """The turn was stopped, and this is what it used until then."""
        shown = {name: count for name, count in usage.items() if name not in FOR_PRICES}
        return self._frame("cancelled", usage=shown, cost_usd=_cost(cost_microusd))

    def error(self, error: BaseException) -> OutFrame:
        """The turn failed, or was refused."""
        return error_frame(error, self.request_id, self.turn_id)

    def _text(self, piece: Mapping[str, Any]) -> Iterator[OutFrame]:
        kind = _TEXTS.get(piece["type"])
        text = piece.get("thinking" if kind == "thinking" else "text")
        if kind and text:
            yield self._frame(kind, text=text)

    def _whole(self, block: Mapping[str, Any]) -> Iterator[OutFrame]:
        kind = block["type"]
        if kind.endswith("tool_use"):
            tool = {"id": block["id"], "name": block["name"], "input": block.get("input"), "by": _runner(block)}
            yield self._frame("tool", tool=tool)
        elif kind.endswith("tool_result"):
            result = {name: block.get(name) for name in ("tool_use_id", "content")}
            yield self._frame("tool_result", result=result | {"is_error": bool(block.get("is_error"))})

    def _frame(self, kind: str, **fields: Any) -> OutFrame:
        return {"type": kind, "id": self.turn_id, **fields}


def error_frame(error: BaseException, request_id: str, turn_id: str | None = None) -> OutFrame:
    """Say an error; `turn_id` is the turn that it is about, if it is about one."""
    if isinstance(error, InvalidRequest) and error.path in _NAMES:
        rest = error.message.removeprefix(f"{error.path}: ")
        error = InvalidRequest(rest, path=_NAMES[error.path], details=error.details)
    rendered = render(error, request_id)
    frame = rendered.body if turn_id is None else {"type": "error", "id": turn_id, **rendered.body}
    seconds = rendered.headers.get("retry-after")
    return frame if seconds is None else frame | {"retry_after": int(seconds)}


def _runner(block: Mapping[str, Any]) -> str:
    """Who runs a tool: the caller, the agent, or the model's API by itself."""
    if block["type"] == "tool_use":
        return "caller"
    return "agent" if block.get("server_name") == SERVER_NAME else "api"


def _cost(microusd: int | None) -> str | None:
    return None if microusd is None else dollars(microusd)
