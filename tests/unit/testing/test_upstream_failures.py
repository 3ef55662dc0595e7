"""Knows how the upstream fails over HTTP, by its script or because the request is none; it must not know pinnace's server."""

from __future__ import annotations

import collections

import httpx
import pytest
from scripted import ask, body, events

from pinnace.testing.answer import KINDS
from pinnace.testing.upstream import Upstream


@pytest.mark.parametrize("status", [*KINDS, 503])
def test_an_error_is_an_http_error_with_its_type(upstream: Upstream, status: int) -> None:
    answer = ask(upstream, f"::error {status}")
    assert answer.status_code == status
    error = {"type": KINDS.get(status, "api_error"), "message": f"scripted failure {status}"}
    assert (answer.json()["type"], answer.json()["error"]) == ("error", error)


def test_an_error_may_name_its_type_and_its_words(upstream: Upstream) -> None:
    answer = ask(upstream, "::error 400 custom_error prompt is too long")
    assert answer.json()["error"] == {"type": "custom_error", "message": "prompt is too long"}


def test_an_error_within_a_stream_is_its_last_event(upstream: Upstream) -> None:
    last = events(upstream, "::text a", "::error 529 overloaded_error Busy", "::text b")[-1]
    assert last == {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}


def test_an_error_before_a_stream_is_an_http_error(upstream: Upstream) -> None:
    answer = httpx.post(f"{upstream.url}/v1/messages", json=body("::error 529", "::text a", stream=True))
    assert answer.status_code == 529
    assert answer.headers["content-type"] == "application/json"


def test_an_error_within_a_whole_answer_is_an_http_error(upstream: Upstream) -> None:
    assert ask(upstream, "::text a", "::error 529").status_code == 529


def test_times_counts_the_requests_with_this_script(upstream: Upstream) -> None:
    script = ("::times 2", "::error 529", "::text Aye")
    assert [ask(upstream, *script).status_code for _ in range(4)] == [529, 529, 200, 200]
    assert ask(upstream, *script, "::stop end_turn").status_code == 529
    upstream.forget()
    assert ask(upstream, *script).status_code == 529


def test_times_can_be_told_one_after_the_other(upstream: Upstream) -> None:
    script = ("::times 1", "::error 429", "::times 2", "::error 529", "::text Aye")
    assert [ask(upstream, *script).status_code for _ in range(3)] == [429, 529, 200]


@pytest.mark.parametrize("stream", [True, False])
def test_cut_drops_the_connection_before_the_first_byte(upstream: Upstream, stream: bool) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.post(f"{upstream.url}/v1/messages", json=body("::cut", stream=stream))
    assert ask(upstream, "::text still there").status_code == 200


def test_cut_drops_the_connection_after_what_was_written(upstream: Upstream) -> None:
    seen = bytearray()
    request = body("::text Seven barrels", "::cut", "::text of tar", stream=True)
    with httpx.stream("POST", f"{upstream.url}/v1/messages", json=request) as answer:
        assert answer.status_code == 200
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            collections.deque(map(seen.extend, answer.iter_raw()), maxlen=0)
    assert b" barrels" in seen
    assert seen.endswith(b"\n\n")
    assert b" tar" not in seen
    assert b"message_stop" not in seen


def test_cut_within_a_whole_answer_drops_the_connection(upstream: Upstream) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(upstream, "::text a", "::cut")


def test_hang_keeps_the_connection_open_and_says_nothing(upstream: Upstream) -> None:
    request = body("::text a", "::hang", stream=True)
    with (
        httpx.stream(
            "POST", f"{upstream.url}/v1/messages", json=request, timeout=httpx.Timeout(10, read=0.3)
        ) as answer,
        pytest.raises(httpx.ReadTimeout),
    ):
        list(answer.iter_raw())


def test_an_unknown_directive_is_refused_by_its_name(upstream: Upstream) -> None:
    answer = ask(upstream, "::txet a")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "::txet" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"messages": [5]}'])
def test_a_body_that_is_no_request_is_refused_and_recorded(upstream: Upstream, path: str, content: str) -> None:
    upstream.forget()
    answer = httpx.post(upstream.url + path, content=content)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert len(upstream.requests) == 1
