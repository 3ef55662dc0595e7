"""Knows which bodies are a message batch, however they are cut into pieces, and how a batch and its results are written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.batches import Batch, Counts, Verdict
from pinnace.core.wire.anthropic.batches import RequestReader, batch_view, name_in, params_of, result_line

PARAMS = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": 'ä\n"\\ \u2028'}]}


def read(raw: bytes, size: int = 7, most: int = 100) -> list[tuple[str, bytes]]:
    reader = RequestReader(most)
    found = [one for at in range(0, len(raw), size) for one in reader.feed(raw[at : at + size])]
    return found + reader.close()


def body(*requests: Any, **fields: Any) -> bytes:
    return json.dumps({"requests": list(requests)} | fields).encode()


def request(name: Any = "a", **fields: Any) -> dict[str, Any]:
    return {"custom_id": name, "params": PARAMS} | fields


@given(
    st.lists(
        st.fixed_dictionaries(
            {"custom_id": st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True), "params": st.just(PARAMS)}
        ),
        min_size=1,
        max_size=9,
        unique_by=lambda one: str(one["custom_id"]),
    ),
    st.integers(1, 300),
)
def test_requests_come_out_as_they_went_in_wherever_the_body_is_cut(requests: list[dict[str, Any]], size: int) -> None:
    found = read(body(*requests, extra={"requests": [1]}), size)
    assert [name for name, _ in found] == [one["custom_id"] for one in requests]
    assert [params_of(line) for _, line in found] == [one["params"] for one in requests]
    assert [name_in(line) for _, line in found] == [name for name, _ in found]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "The body is not valid JSON"),
        (b"{}", "requests: must be a list of 1 to 100 requests"),
        (b'{"requests": []}', "requests: must be a list"),
        (b'{"requests": "x"}', "requests: must be a list"),
        (b"[]", "requests: must be a list"),
        (b"nonsense", "The body is not valid JSON"),
        (body(request())[:-9], "The body is not valid JSON"),
        (body(request()) + b"{}", "The body is not valid JSON"),
        (body("x"), "requests.0: must be an object"),
        (body(request("a"), request("")), "requests.1.custom_id: must be 1 to 64 letters"),
        (body(request("a" * 65)), "requests.0.custom_id"),
        (body(request("a b")), "requests.0.custom_id"),
        (body(request("a\n")), "requests.0.custom_id"),
        (body(request(7)), "requests.0.custom_id"),
        (body({"params": PARAMS}), "requests.0.custom_id"),
        (body(request("a"), request("b"), request("a")), "requests.2.custom_id: is the name of requests.0 too"),
        (body(*(request(f"r{number}") for number in range(101))), "requests: has more than 100 requests"),
    ],
)
def test_a_body_that_is_none_is_refused_with_what_to_change(raw: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(raw)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_request", "told"),
    [
        ({"custom_id": "a"}, "params: must be an object"),
        (request(params=[]), "params: must be an object"),
        (request(extra=1), "extra: a request has custom_id and params alone"),
        (request(params={"deep": json.loads("[" * 400 + "]" * 400)}), "params: is nested too deeply"),
        (request(params=PARAMS | {"stream": True}), "params.stream"),
    ],
)
def test_a_bad_request_sinks_no_other_and_says_what_is_wrong(given_request: dict[str, Any], told: str) -> None:
    (_, bad), (_, good) = read(body(given_request, request("b")))
    assert params_of(good) == PARAMS
    assert name_in(bad) == "a"
    with pytest.raises(InvalidRequest, match=told):
        params_of(bad)


def test_a_batch_is_shown_as_the_sdk_reads_it() -> None:
    going = Batch("p", "msgbatch_1", 0.0, 86_400.0, total=4, is_ready=True, counts=Counts(1, 1), microusd=1_500_000)
    shown = batch_view(going, "http://host/api")
    parsed = MessageBatch.model_validate(shown)
    assert (parsed.processing_status, parsed.request_counts.processing, parsed.results_url) == ("in_progress", 4, None)
    assert (shown["progress"], shown["cost_usd"]) == ({"done": 2, "succeeded": 1, "errored": 1}, "1.500000")
    assert batch_view(replace(going, cancel_at=5.0), "")["processing_status"] == "canceling"
    ended = replace(going, counts=Counts(1, 1, 2), cancel_at=5.0, ended_at=9.0)
    parsed = MessageBatch.model_validate(batch_view(ended, "http://host/api"))
    assert (parsed.processing_status, parsed.request_counts.processing, parsed.request_counts.canceled) == (
        "ended",
        0,
        2,
    )
    assert parsed.results_url == "http://host/api/v1/messages/batches/msgbatch_1/results"
    assert batch_view(replace(ended, archived_at=99.0), "")["results_url"] is None


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_result_is_a_line_that_the_sdk_reads(verdict: Verdict) -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "x"}, "request_id": "r"}
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    line = result_line("a", verdict, message if verdict is Verdict.SUCCEEDED else error)
    assert b"\n" not in line
    parsed = MessageBatchIndividualResponse.model_validate(json.loads(line))
    assert (parsed.custom_id, parsed.result.type) == ("a", verdict.value)
