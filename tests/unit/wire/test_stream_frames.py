"""Knows the frames of `/v1/stream`, in and out; it must not know a socket."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import BudgetExceeded, InvalidRequest, RateLimited
from pinnace.core.model.run import Profile
from pinnace.core.wire.anthropic.assemble import MessageAssembler, replay
from pinnace.core.wire.anthropic.grammar import StreamGrammar
from pinnace.core.wire.stream.closing import CloseCode
from pinnace.core.wire.stream.incoming import Auth, Cancel, Chat, Frame, Ping, id_of, read, understand
from pinnace.core.wire.stream.origins import is_admitted
from pinnace.core.wire.stream.outgoing import TurnFrames, error_frame

Json = dict[str, Any]
TURN: Json = {"type": "chat", "model": "sonnet", "prompt": "Hello"}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Ahoy"},
        {"type": "tool_use", "id": "toolu_1", "name": "depth", "input": {"at": "the bow"}},
        {
            "type": "mcp_tool_use",
            "id": "toolu_2",
            "name": "Bash",
            "server_name": "claude_code",
            "input": {"command": "ls"},
        },
        {
            "type": "mcp_tool_result",
            "tool_use_id": "toolu_2",
            "is_error": True,
            "content": [{"type": "text", "text": "no"}],
        },
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "tides"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7, "cost_usd": 0.5},
}


def heard(**frame: Any) -> Frame:
    return understand(read(json.dumps(frame)))


def test_a_turn_s_own_fields_are_no_part_of_its_body() -> None:
    given = TURN | {
        "id": "one",
        "session": "watch",
        "session_wait": 5,
        "profile": "agent",
        "steps": True,
        "stream": False,
        "temperature": 0.5,
    }
    body = {"model": "sonnet", "temperature": 0.5, "messages": [{"role": "user", "content": "Hello"}]}
    assert heard(**given) == Chat("one", body, "watch", 5.0, Profile.AGENT, steps=True)


def test_what_a_turn_does_not_say_is_for_others_to_say() -> None:
    turn = heard(type="chat", model="sonnet", messages=[])
    assert turn == Chat(None, {"model": "sonnet", "messages": []})


def test_a_body_is_completed_by_its_session_and_then_by_the_default() -> None:
    turn = heard(type="chat", prompt="a", system="mine")
    assert isinstance(turn, Chat)
    body = {"messages": [{"role": "user", "content": "a"}], "system": "mine"}
    assert turn.body_with({}) == body | {"max_tokens": 4096}
    assert turn.body_with({"max_tokens": 7, "system": "its", "model": "m"}) == body | {"max_tokens": 7, "model": "m"}


def test_the_other_frames() -> None:
    assert heard(type="auth", key="k") == Auth("k")
    assert heard(type="cancel") == Cancel(None)
    assert heard(type="cancel", id="one") == Cancel("one")
    assert heard(type="ping") == Ping()


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "shout"}, "type"),
        ({"type": "auth"}, "key"),
        ({"type": "auth", "key": ""}, "key"),
        ({"type": "cancel", "id": 1}, "id"),
        ({"type": "cancel", "turn": "a"}, "turn"),
        ({"type": "ping", "at": 1}, "at"),
        (TURN | {"id": ""}, "id"),
        (TURN | {"id": "x" * 129}, "id"),
        (TURN | {"prompt": ""}, "prompt"),
        (TURN | {"messages": []}, "prompt"),
        (TURN | {"profile": "root"}, "profile"),
        (TURN | {"steps": "yes"}, "steps"),
        (TURN | {"session": 5}, "session"),
        (TURN | {"session_wait": -1}, "session_wait"),
        (TURN | {"session_wait": "1"}, "session_wait"),
    ],
)
def test_a_frame_that_is_wrong_is_refused_by_its_field(frame: Json, path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        heard(**frame)
    assert raised.value.path == path


@pytest.mark.parametrize(
    "message", ["", "{", "[]", "5", '"chat"', b'{"type": "ping"}', "NaN", '{"a": 1' + "0" * 30 + "}"]
)
def test_a_message_that_is_no_frame_is_refused(message: str | bytes) -> None:
    with pytest.raises(InvalidRequest):
        understand(read(message))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text())
def test_nothing_but_a_refusal_comes_of_what_makes_no_sense(value: Any, text: str) -> None:
    for frame in ({"type": value}, TURN | {"id": value, "session": value, "steps": value, "profile": value}):
        with contextlib.suppress(InvalidRequest):
            understand(frame)
    with pytest.raises(InvalidRequest):
        understand(read(text))


def test_a_frame_s_turn_is_known_also_where_the_rest_is_wrong() -> None:
    assert id_of({"type": "chat", "id": "one", "steps": "?"}) == "one"
    assert id_of({"id": 5}) is id_of({"id": ""}) is id_of({"id": "x" * 129}) is None


def all_frames(message: Json) -> list[Json]:
    frames = TurnFrames("one", "req_1")
    grammar = StreamGrammar()
    told: list[Json] = []
    for event in replay(message):
        grammar.admit(event)
        told += frames.feed(event)
    return [*told, frames.done(1_234, session="watch", cache=None)]


def test_events_become_frames() -> None:
    frames = all_frames(MESSAGE)
    assert {frame["id"] for frame in frames} == {"one"}
    bash = {"id": "toolu_2", "name": "Bash", "input": {"command": "ls"}, "by": "agent"}
    failed = {"tool_use_id": "toolu_2", "content": [{"type": "text", "text": "no"}], "is_error": True}
    assert [{name: value for name, value in frame.items() if name != "id"} for frame in frames[:-1]] == [
        {"type": "start", "model": "claude-x", "message_id": "msg_1", "request_id": "req_1"},
        {"type": "thinking", "text": "Hm."},
        {"type": "token", "text": "Ahoy"},
        {"type": "tool", "tool": {"id": "toolu_1", "name": "depth", "input": {"at": "the bow"}, "by": "caller"}},
        {"type": "tool", "tool": bash},
        {"type": "tool_result", "result": failed},
        {"type": "tool", "tool": {"id": "srv_1", "name": "web_search", "input": {"query": "tides"}, "by": "api"}},
        {"type": "tool_result", "result": {"tool_use_id": "srv_1", "content": [], "is_error": False}},
    ]


def test_the_last_frame_has_the_whole_message_and_its_cost_once() -> None:
    done = all_frames(MESSAGE)[-1]
    assembler = MessageAssembler()
    for event in replay(MESSAGE):
        assembler.feed(event)
    assert done["message"] == assembler.message()
    assert (done["stop_reason"], done["cost_usd"], done["session"]) == ("tool_use", "0.001234", "watch")
    assert done["usage"] == {"input_tokens": 5, "output_tokens": 7}
    assert "cache" not in done


def test_a_cost_that_nobody_knows_is_null() -> None:
    frame = TurnFrames("one", "req_1").cancelled({"input_tokens": 5, "cache_creation_1h_input_tokens": 1}, None)
    assert frame == {"type": "cancelled", "id": "one", "usage": {"input_tokens": 5}, "cost_usd": None}


def test_an_error_says_what_it_is_about_and_when_to_come_back() -> None:
    limited = RateLimited("Too many.", retry_after=2.2)
    assert error_frame(limited, "req_1", "one") == {
        "type": "error",
        "id": "one",
        "error": {"type": "rate_limit_error", "message": "Too many."},
        "request_id": "req_1",
        "retry_after": 3,
    }
    spent = BudgetExceeded(owner="project:p", period="all", unit="usd", limit=5, left=1, needed=9)
    assert error_frame(spent, "req_1")["error"]["details"]["limit"] == "0.000005"
    assert "id" not in error_frame(spent, "req_1")
    secret = error_frame(RuntimeError("the password is parrot"), "req_1")
    assert secret["error"] == {"type": "api_error", "message": "Internal server error"}


def test_a_header_s_name_becomes_the_field_s() -> None:
    error = error_frame(InvalidRequest("must be shorter", path="x-session-id"), "req_1")
    assert error["error"]["message"] == "session: must be shorter"


@pytest.mark.parametrize(
    ("origin", "host", "admitted"),
    [
        (None, None, True),
        ("https://app.example", "api.example", True),
        ("http://127.0.0.1:8787", "127.0.0.1:8787", True),
        ("https://API.example", "api.example", True),
        ("https://api.example:8443", "api.example", False),
        ("https://evil.example", "api.example", False),
        ("https://app.example.evil.example", "api.example", False),
        ("null", "null", False),
        ("", "", False),
        ("http://[", "api.example", False),
    ],
)
def test_which_pages_may_connect(origin: str | None, host: str | None, admitted: bool) -> None:
    assert is_admitted(origin, host, ("https://app.example",)) is admitted
    assert is_admitted(origin, host, ("*",))


@pytest.mark.parametrize("code", list(CloseCode))
def test_a_close_has_a_reason_that_fits(code: CloseCode) -> None:
    assert 0 < len(code.reason.encode()) <= 123
