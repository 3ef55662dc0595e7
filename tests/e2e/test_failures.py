"""Knows that a failure keeps its status and its type, says what to change, and leaves a server that goes on serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import MODEL, Served, serving

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def checked(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The error of an answer, once it is known to be well-formed."""
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind), body
    assert body["request_id"] == answer.headers["request-id"]
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", KINDS)
def test_an_upstream_failure_keeps_status_type_and_message(served: Served, status: int, stream: bool) -> None:
    script = f"::header retry-after 7\n::error {status} {KINDS[status]} it went wrong"
    answer = served.ask(script, stream=stream)
    assert checked(answer, status, KINDS[status])["message"] == "it went wrong"
    assert answer.headers.get("retry-after") == "7"
    assert len(served.upstream.bodies) == 1
    assert served.ask("::text fine").json()["content"][0]["text"] == "fine"


def test_what_clients_look_for_in_a_message_is_there(served: Served) -> None:
    message = "prompt is too long: 210000 tokens > 200000 maximum"
    assert (
        checked(served.ask(f"::error 400 invalid_request_error {message}"), 400, "invalid_request_error")["message"]
        == message
    )


def test_a_connection_cut_before_the_first_byte_is_an_api_error(served: Served) -> None:
    error = checked(served.ask("::cut"), 500, "api_error")
    assert "127.0.0.1" not in json.dumps(error)
    assert len(served.upstream.bodies) == 1


@pytest.mark.parametrize("script", ["::text a b\n::cut", "::text a b\n::error 529 overloaded_error busy"])
def test_a_failure_in_the_middle_is_an_error_event_and_the_end(served: Served, script: str) -> None:
    body = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": script}]}
    text = served.post(body).text
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names[0] == "message_start"
    assert names[-1] == "error"
    assert "message_stop" not in names
    error = json.loads(text.strip().splitlines()[-1].removeprefix("data: "))
    assert error["type"] == "error"
    assert len(served.upstream.bodies) == 1


def test_an_upstream_that_hangs_ends_in_a_timeout(served: Served, own_directory: Path) -> None:
    with serving(own_directory, served.upstream, PINNACE_REQUEST_TIMEOUT="1.5", PINNACE_AGENT__SPARES="0") as own:
        checked(own.ask("::hang"), 504, "timeout_error")
        assert own.ask("::text fine").json()["content"][0]["text"] == "fine"


BAD: list[tuple[Any, str]] = [
    ([], "JSON object"),
    ({}, "model"),
    ({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
    ({"model": MODEL, "max_tokens": "9", "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
    ({"model": MODEL, "max_tokens": 9, "messages": []}, "messages"),
    ({"model": MODEL, "max_tokens": 9, "messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    (
        {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "txt"}]}]},
        "messages.0.content.0",
    ),
    (
        {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "temperature": 7},
        "temperature",
    ),
    (
        {
            "model": MODEL,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}],
            "tool_choice": {"type": "any"},
        },
        "tool_choice",
    ),
]


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_bad_request_is_a_400_that_names_the_field(served: Served, body: Any, field: str) -> None:
    assert field in checked(served.post(body), 400, "invalid_request_error")["message"]
    assert served.upstream.bodies == []


def test_a_body_that_is_not_json_is_a_400(served: Served) -> None:
    answer = served.http.post(f"{served.url}/v1/messages", content=b'{"model": nope')
    assert "JSON" in checked(answer, 400, "invalid_request_error")["message"]


def test_a_tool_call_without_its_result_is_refused_in_the_apis_words(served: Served) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": "b"},
    ]
    error = checked(served.post({"model": MODEL, "max_tokens": 9, "messages": messages}), 400, "invalid_request_error")
    assert "`tool_use` ids were found without `tool_result` blocks" in error["message"]


def test_threads_are_refused_so_that_the_sdk_sends_the_history(served: Served) -> None:
    error = checked(served.ask("hi", thread={"type": "create"}), 400, "invalid_request_error")
    assert error["details"]["error_code"] == "thread_unsupported_request"


def test_unknown_paths_and_methods_and_large_bodies(served: Served) -> None:
    checked(served.http.get(f"{served.url}/v1/nothing"), 404, "not_found_error")
    wrong = served.http.get(f"{served.url}/v1/messages")
    checked(wrong, 405, "invalid_request_error")
    assert wrong.headers["allow"] == "POST"
    checked(served.http.post(f"{served.url}/v1/messages", content=b"x" * 33_554_433), 413, "request_too_large")


@pytest.mark.parametrize(("header", "value"), [("x-pinnace-profile", "robot"), ("x-sdk-message-mode", "loud")])
def test_a_header_with_a_wrong_value_is_named(served: Served, header: str, value: str) -> None:
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    answer = served.http.post(f"{served.url}/v1/messages", json=body, headers={header: value})
    assert header in checked(answer, 400, "invalid_request_error")["message"]
