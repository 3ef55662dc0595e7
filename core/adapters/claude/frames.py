"""Knows the frames of the CLI's stream-json protocol, both ways, sans-IO; it must not know processes or clocks.

The protocol is the one that `claude-agent-sdk` speaks (`claude -p --input-format stream-json --output-format stream-json`):
a JSON object a line. `tests/e2e/test_cli_protocol.py` pins every frame and flag used here against the real binary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

Json = dict[str, Any]

#: A frame holds at most one tool result or one block of text. The CLI cuts tool output far below this; a line that is
#: longer is a flood.
MAX_LINE_BYTES = 64 * 1024 * 1024


class FrameError(Exception):
    """The CLI wrote something that is not a frame."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of the model's stream; `parent` is the tool call of the subagent that it belongs to, if any."""

    event: Json
    parent: str | None


@dataclass(frozen=True, slots=True)
class UserFrame:
    """A user turn that the CLI made: results of the tools that it ran."""

    content: Any
    parent: str | None


@dataclass(frozen=True, slots=True)
class ApiFailure:
    """The CLI's account of a failed call to the model's API."""

    status: int | None
    kind: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a turn. `raw` has `usage`, `modelUsage` and `total_cost_usd`, which add up over the process's life."""

    subtype: str
    is_error: bool
    reason: str | None
    status: int | None
    text: str
    raw: Json


@dataclass(frozen=True, slots=True)
class ControlResponse:
    """The answer to a control request of ours; `error` is None on success."""

    request_id: str
    response: Json
    error: str | None


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A question of the CLI's to us."""

    request_id: str
    subtype: str
    request: Json


@dataclass(frozen=True, slots=True)
class Notice:
    """A system frame (`init`, `api_retry`, `status`, …)."""

    subtype: str
    raw: Json


@dataclass(frozen=True, slots=True)
class Mirror:
    """Lines that the CLI wrote into a transcript of its own; the end of a turn is told after all of the turn's."""

    path: str
    entries: list[Json]


Frame = StreamEvent | UserFrame | ApiFailure | Result | ControlResponse | ControlRequest | Notice | Mirror


class FrameReader:
    """Turns the bytes of the CLI's standard output into frames.

    `feed` yields the frames that are complete; it raises `FrameError` for a line that is no JSON object, and for one that
    is longer than `limit` bytes. Frames of a type that is not used here are left out.
    """

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._rest = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[Frame]:
        if b"\n" not in data:
            self._rest += data
        else:
            *lines, rest = data.split(b"\n")
            lines[0] = bytes(self._rest) + lines[0]
            self._rest = bytearray(rest)
            for line in lines:
                if len(line) > self._limit:
                    raise FrameError(f"a line of more than {self._limit} bytes")
                if line.strip() and (frame := parse(line)) is not None:
                    yield frame
        if len(self._rest) > self._limit:
            raise FrameError(f"a line of more than {self._limit} bytes")


def parse(line: bytes) -> Frame | None:
    """Read one line; None where nothing here uses its type.

    Raises:
        FrameError: the line is no JSON object.
    """
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FrameError("a line that is not JSON") from error
    if not isinstance(raw, dict):
        raise FrameError("a line that is not a JSON object")
    try:
        reader = _READERS.get(raw.get("type", ""))
        return reader(raw) if reader else None
    except (KeyError, TypeError, AttributeError) as error:
        raise FrameError(f"a {raw['type']} frame of another shape") from error


def _stream_event(raw: Json) -> Frame:
    return StreamEvent(raw["event"], raw.get("parent_tool_use_id"))


def _user(raw: Json) -> Frame:
    return UserFrame(raw["message"]["content"], raw.get("parent_tool_use_id"))


def _assistant(raw: Json) -> Frame | None:
    if not raw.get("is_api_error_message"):
        return None
    text = "".join(block.get("text", "") for block in raw["message"]["content"])
    return ApiFailure(raw.get("api_error_status"), raw.get("api_error_type"), text)


def _result(raw: Json) -> Frame:
    text = raw.get("result") or "; ".join(raw.get("errors") or [])
    status = raw.get("api_error_status")
    return Result(raw["subtype"], bool(raw.get("is_error")), raw.get("terminal_reason"), status, text, raw)


def _control_response(raw: Json) -> Frame:
    inner = raw["response"]
    error = inner.get("error", "refused") if inner["subtype"] == "error" else None
    return ControlResponse(inner["request_id"], inner.get("response") or {}, error)


def _control_request(raw: Json) -> Frame:
    return ControlRequest(raw["request_id"], raw["request"]["subtype"], raw["request"])


def _system(raw: Json) -> Frame:
    return Notice(raw["subtype"], raw)


def _mirror(raw: Json) -> Frame:
    return Mirror(raw["filePath"], raw["entries"])


_READERS = {
    "stream_event": _stream_event,
    "user": _user,
    "assistant": _assistant,
    "result": _result,
    "control_response": _control_response,
    "control_request": _control_request,
    "system": _system,
    "transcript_mirror": _mirror,
}


def control(request_id: str, subtype: str, **fields: Any) -> Json:
    """A control request; fields that are None are left out."""
    request = {"subtype": subtype} | {name: value for name, value in fields.items() if value is not None}
    return {"type": "control_request", "request_id": request_id, "request": request}


def call_settings(request_id: str, model: str, body: Mapping[str, Any]) -> Json:
    """Choose the model, and merge `body` into the next calls to its API; both stay until they are replaced.

    `set_model` would do the first as well, but may first try the model with a call of its own.
    """
    environment = {"CLAUDE_CODE_EXTRA_BODY": orjson.dumps(body).decode()}
    return control(request_id, "apply_flag_settings", settings={"model": model, "env": environment})


def user_turn(uuid: str, content: str | Sequence[Mapping[str, Any]], *, answered: bool = True) -> Json:
    """A user's turn; with `answered` false it only becomes history.

    `client_composed` turns off the expansion of `@file` and of slash commands: the text came over the network.
    """
    frame: Json = {
        "type": "user",
        "uuid": uuid,
        "session_id": "",
        "parent_tool_use_id": None,
        "client_composed": True,
        "message": {"role": "user", "content": content},
    }
    if not answered:
        frame["shouldQuery"] = False
    return frame


def assistant_turn(uuid: str, message_id: str, model: str, content: Sequence[Mapping[str, Any]]) -> Json:
    """An earlier turn of the assistant, as history; the CLI does not acknowledge it."""
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return {"type": "assistant", "uuid": uuid, "session_id": "", "parent_tool_use_id": None, "message": message}


def rewind(request_id: str, first: str, last: str) -> Json:
    """Take the conversation back to before the user frame `first`; `last` is the uuid of the last user frame."""
    return control(request_id, "rewind_conversation", target_message_uuid=first, last_seen_user_message_uuid=last)


def mcp_reply(request_id: str, message_id: Any, result: Mapping[str, Any]) -> Json:
    """The answer to an `mcp_message` control request: a JSON-RPC result."""
    rpc = {"jsonrpc": "2.0", "id": message_id, "result": result}
    return control_reply(request_id, {"mcp_response": rpc})


def control_reply(request_id: str, response: Mapping[str, Any]) -> Json:
    """The answer to a control request of the CLI's."""
    inner = {"subtype": "success", "request_id": request_id, "response": response}
    return {"type": "control_response", "response": inner}


def encode(frames: Sequence[Mapping[str, Any]]) -> bytes:
    """Render frames as lines."""
    return b"".join(orjson.dumps(frame) + b"\n" for frame in frames)
