"""Knows how the CLI's lines become frames and how ours become lines; it must not know what either side does with them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinnace.core.adapters.claude import frames
from pinnace.core.adapters.claude.frames import (
    ApiFailure,
    ControlRequest,
    ControlResponse,
    Frame,
    FrameError,
    FrameReader,
    Notice,
    Result,
    StreamEvent,
    UserFrame,
)

Json = dict[str, Any]

RESULT: Json = {
    "type": "result",
    "subtype": "error_during_execution",
    "is_error": True,
    "errors": ["first", "second"],
    "terminal_reason": "api_error",
    "api_error_status": 529,
}
#: What the CLI may write, and what is read from it.
READ: list[tuple[Json, Frame]] = [
    (
        {"type": "stream_event", "event": {"type": "ping"}, "parent_tool_use_id": None},
        StreamEvent({"type": "ping"}, None),
    ),
    (
        {"type": "stream_event", "event": {"type": "ping"}, "parent_tool_use_id": "toolu_1"},
        StreamEvent({"type": "ping"}, "toolu_1"),
    ),
    ({"type": "user", "message": {"role": "user", "content": "Ahoy"}}, UserFrame("Ahoy", None)),
    (
        {
            "type": "assistant",
            "is_api_error_message": True,
            "api_error_status": 429,
            "api_error_type": "rate_limit_error",
            "message": {"content": [{"type": "text", "text": "Slow "}, {"type": "text", "text": "down"}]},
        },
        ApiFailure(429, "rate_limit_error", "Slow down"),
    ),
    (RESULT, Result("error_during_execution", True, "api_error", 529, "first; second", RESULT)),
    (
        {"type": "control_response", "response": {"subtype": "success", "request_id": "a", "response": {"pid": 7}}},
        ControlResponse("a", {"pid": 7}, None),
    ),
    (
        {"type": "control_response", "response": {"subtype": "success", "request_id": "a"}},
        ControlResponse("a", {}, None),
    ),
    (
        {"type": "control_response", "response": {"subtype": "error", "request_id": "a", "error": "no"}},
        ControlResponse("a", {}, "no"),
    ),
    (
        {"type": "control_response", "response": {"subtype": "error", "request_id": "a"}},
        ControlResponse("a", {}, "refused"),
    ),
    (
        {"type": "control_request", "request_id": "b", "request": {"subtype": "mcp_message", "message": {}}},
        ControlRequest("b", "mcp_message", {"subtype": "mcp_message", "message": {}}),
    ),
    ({"type": "system", "subtype": "init"}, Notice("init", {"type": "system", "subtype": "init"})),
]
LEFT_OUT: list[Json] = [
    {"type": "weather", "wind": 7},
    {"type": None},
    {},
    {
        "type": "assistant",
        "message": {"content": [{"type": "text", "text": "an answer, which came as events already"}]},
    },
]


def fed(reader: FrameReader, *chunks: bytes) -> list[Frame]:
    return [frame for chunk in chunks for frame in reader.feed(chunk)]


@pytest.mark.parametrize(
    ("line", "frame"), READ, ids=[f"{number}-{line['type']}" for number, (line, _) in enumerate(READ)]
)
def test_a_line_becomes_its_frame(line: Json, frame: Frame) -> None:
    assert fed(FrameReader(), frames.encode([line])) == [frame]


@pytest.mark.parametrize("line", LEFT_OUT)
def test_a_frame_that_is_of_no_use_here_is_left_out(line: Json) -> None:
    assert fed(FrameReader(), frames.encode([line, READ[0][0]])) == [READ[0][1]]


@given(
    st.lists(st.sampled_from([line for line, _ in READ] + LEFT_OUT), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n  \n"]),
    st.lists(st.integers(0, 2000), max_size=30),
)
@example([READ[0][0]], b"\n", list(range(100)))
def test_frames_do_not_depend_on_where_the_bytes_are_cut(lines: list[Json], between: bytes, cuts: list[int]) -> None:
    data = b"".join(orjson.dumps(line) + between for line in lines)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[begin:end] for begin, end in pairwise(edges)]
    assert fed(FrameReader(), *chunks) == [frame for line in lines for given, frame in READ if given == line]


def test_a_line_without_its_end_is_no_frame_yet() -> None:
    reader = FrameReader()
    line = frames.encode([READ[0][0]])
    assert fed(reader, line[:-1]) == []
    assert fed(reader, line[-1:]) == [READ[0][1]]


@pytest.mark.parametrize(
    "line",
    [
        b"Segmentation fault",
        b'{"type": "result"',
        b"[]",
        b"null",
        b'"result"',
        b"\xff\xfe",
        b'{"type": "stream_event"}',
        b'{"type": "user", "message": "Ahoy"}',
        b'{"type": "assistant", "is_api_error_message": true, "message": {"content": "Ahoy"}}',
        b'{"type": "result"}',
        b'{"type": "result", "subtype": "error", "errors": [1]}',
        b'{"type": "control_response", "response": {"subtype": "success"}}',
        b'{"type": "control_request", "request_id": "a", "request": {}}',
        b'{"type": "system"}',
    ],
)
def test_garbage_is_a_frame_error_after_the_frames_before_it(line: bytes) -> None:
    reader = FrameReader().feed(frames.encode([READ[0][0]]) + line + b"\n")
    assert next(reader) == READ[0][1]
    with pytest.raises(FrameError):
        next(reader)


@given(st.binary().filter(lambda data: b"\n" not in data and data.strip() != b""))
def test_bytes_that_are_no_json_object_are_a_frame_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        fed(FrameReader(), b"[" + data + b"\n")


def test_a_line_that_never_ends_is_a_frame_error_at_the_limit() -> None:
    reader = FrameReader(limit=100)
    assert fed(reader, b"x" * 60, b"x" * 40) == []
    with pytest.raises(FrameError, match="more than 100 bytes"):
        fed(reader, b"x")


def test_the_limit_is_one_of_a_line_and_not_of_the_output() -> None:
    line = frames.encode([READ[0][0]])
    assert len(fed(FrameReader(limit=len(line)), line * 50)) == 50


@pytest.mark.parametrize("content", ["Ahoy", [{"type": "text", "text": "Ahoy"}]])
@pytest.mark.parametrize("answered", [True, False])
def test_a_user_turn_is_never_expanded_and_asks_the_model_unless_it_is_history(content: Any, answered: bool) -> None:
    turn = frames.user_turn("u", content, answered=answered)
    assert turn["client_composed"] is True
    assert turn["message"] == {"role": "user", "content": content}
    assert (turn["type"], turn["uuid"], turn["parent_tool_use_id"]) == ("user", "u", None)
    assert turn.get("shouldQuery", "absent") == ("absent" if answered else False)


def test_a_user_turn_asks_the_model_by_default() -> None:
    assert "shouldQuery" not in frames.user_turn("u", "Ahoy")


def test_an_assistant_turn_is_a_whole_message() -> None:
    content = [{"type": "text", "text": "Aye"}]
    turn = frames.assistant_turn("u", "msg_1", "claude-x", content)
    assert (turn["type"], turn["uuid"]) == ("assistant", "u")
    assert turn["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def test_a_control_request_leaves_out_what_is_none_and_keeps_what_is_empty() -> None:
    assert frames.control("r", "claim_session", cwd="/w", tools=[], system=None, on=False) == {
        "type": "control_request",
        "request_id": "r",
        "request": {"subtype": "claim_session", "cwd": "/w", "tools": [], "on": False},
    }


def test_the_extra_body_of_the_calls_is_json_in_a_variable() -> None:
    request = frames.call_settings("r", "claude-x", {"max_tokens": 5, "stop_sequences": ["ü"]})["request"]
    assert (request["subtype"], request["settings"]["model"]) == ("apply_flag_settings", "claude-x")
    text = request["settings"]["env"]["CLAUDE_CODE_EXTRA_BODY"]
    assert orjson.loads(text) == {"max_tokens": 5, "stop_sequences": ["ü"]}


def test_a_rewind_names_the_first_turn_to_go_and_the_last_one_seen() -> None:
    assert frames.rewind("r", "first", "last")["request"] == {
        "subtype": "rewind_conversation",
        "target_message_uuid": "first",
        "last_seen_user_message_uuid": "last",
    }


def test_an_mcp_reply_is_json_rpc_within_a_control_response() -> None:
    assert frames.mcp_reply("r", 7, {"tools": []}) == {
        "type": "control_response",
        "response": {
            "subtype": "success",
            "request_id": "r",
            "response": {"mcp_response": {"jsonrpc": "2.0", "id": 7, "result": {"tools": []}}},
        },
    }


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(0, 9), max_size=3), max_size=4))
def test_a_frame_is_written_as_one_line_whatever_its_text(sent: list[Json]) -> None:
    lines = frames.encode(sent).split(b"\n")
    assert lines.pop() == b""
    assert [orjson.loads(line) for line in lines] == sent
