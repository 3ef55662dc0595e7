"""Knows that what a call used is read from any answer, however it is cut into pieces and wherever it breaks off."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.adapters.claude.metering import UsageReader, call_of, flat_usage

Json = dict[str, Any]

START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "content": [],
        "usage": {
            "input_tokens": 11,
            "cache_creation_input_tokens": 22,
            "cache_read_input_tokens": 33,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 20},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
BEGUN = {
    "input_tokens": 11,
    "cache_creation_input_tokens": 22,
    "cache_read_input_tokens": 33,
    "cache_creation_1h_input_tokens": 20,
}
END: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 44, "server_tool_use": {"web_search_requests": 2}},
}
WHOLE = BEGUN | {"output_tokens": 44, "web_search_requests": 2}


def line(event: Json, end: str = "\n") -> bytes:
    return f"event: {event['type']}{end}data: {json.dumps(event)}{end}{end}".encode()


def delta(text: str) -> Json:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def stream(*events: Json, end: str = "\n") -> bytes:
    return b"".join(line(event, end) for event in events)


def read(*pieces: bytes) -> dict[str, int]:
    reader = UsageReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.usage


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[start:end] for start, end in pairwise(at)]


ANSWER = stream(START, {"type": "ping"}, delta("a"), delta("é🚢"), END, {"type": "message_stop"})
PLACES = st.lists(st.integers(0, 10_000), max_size=30)


def test_a_complete_stream_says_what_was_used() -> None:
    assert read(ANSWER) == WHOLE
    assert read(stream(START, delta("a"), END, end="\r\n")) == WHOLE
    assert read(ANSWER.replace(b"data: ", b"data:")) == WHOLE


@given(PLACES)
def test_the_pieces_that_a_stream_comes_in_change_nothing(places: list[int]) -> None:
    assert read(*cut(ANSWER, places)) == WHOLE


@given(st.integers(0, len(ANSWER)), PLACES)
def test_the_pieces_that_a_broken_stream_comes_in_change_nothing(length: int, places: list[int]) -> None:
    broken = ANSWER[:length]
    assert read(*cut(broken, places)) == read(broken)


@given(st.integers(0, len(ANSWER)))
def test_a_stream_that_broke_off_is_never_said_to_have_used_more_than_the_whole(length: int) -> None:
    known = read(ANSWER[:length])
    assert all(count <= WHOLE[kind] for kind, count in known.items())


@given(st.integers(0, len(ANSWER)))
def test_looking_at_what_is_known_so_far_changes_nothing(length: int) -> None:
    reader = UsageReader()
    reader.feed(ANSWER[:length])
    assert reader.usage == reader.usage
    reader.feed(ANSWER[length:])
    assert reader.usage == WHOLE


@given(st.lists(st.text(max_size=20), max_size=30))
def test_every_delta_of_a_stream_that_broke_off_counts_as_a_token(texts: list[str]) -> None:
    broken = stream(START, *(delta(text) for text in texts))
    assert read(broken) == BEGUN | {"output_tokens": max(1, len(texts))}


def test_a_delta_that_broke_off_itself_counts_too() -> None:
    assert read(stream(START, delta("a")), line(delta("b"))[:-12])["output_tokens"] == 2


def test_of_a_stream_that_never_began_nothing_is_known() -> None:
    assert read() == read(b"") == read(b"\n\n") == {"output_tokens": 0}


def test_the_end_of_a_stream_is_the_last_word() -> None:
    more = END | {"usage": {"input_tokens": 12, "output_tokens": 2, "cache_read_input_tokens": None}}
    assert read(stream(START, *[delta("a")] * 9, more)) == BEGUN | {"input_tokens": 12, "output_tokens": 2}


@given(PLACES)
def test_a_whole_answer_says_what_was_used_in_whatever_pieces(places: list[int]) -> None:
    answer = {"type": "message", "content": [{"type": "text", "text": "é"}], "usage": START["message"]["usage"]}
    assert read(*cut(json.dumps(answer, ensure_ascii=False).encode(), places)) == BEGUN | {"output_tokens": 1}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": '{"type":"content_block_delta","usage":{"output_tokens":9}}\ndata: "usage"'},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"usage": {"output_tokens": 9}}},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"content_block_delta": 9}},
        {"type": "tool_use", "id": "t", "name": "n", "input": ["content_block_delta", "usage"]},
    ],
)
def test_what_the_model_says_is_not_taken_for_what_it_used(block: Json) -> None:
    answer = {"type": "message", "content": [block], "usage": {"input_tokens": 5, "output_tokens": 6}}
    assert read(json.dumps(answer).encode()) == {"input_tokens": 5, "output_tokens": 6}
    assert read(stream(START, delta(json.dumps(block)), END)) == WHOLE


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_garbage_is_read_without_complaint(pieces: list[bytes]) -> None:
    assert all(count >= 0 for count in read(*pieces).values())


@pytest.mark.parametrize(
    "event",
    [
        b'["usage"]',
        b'"usage"',
        b'{"usage"',
        b'{"usage": {"output_tokens": 9}}',
        b'{"type": "message_delta", "usage": null}',
        b'{"type": "message_delta", "usage": 7}',
        b'{"type": "message_delta", "usage": "much"}',
        b'{"type": "message_delta", "usage": [9]}',
        b'{"type": "message_start", "usage": 1}',
        b'{"type": "message_start", "usage": 1, "message": null}',
        b'{"type": "message_start", "usage": 1, "message": [1]}',
        b'{"type": "message_start", "message": {"usage": "much"}}',
        b'{"type": ["message_delta"], "usage": {}}',
        b"[" * 5_000 + b'"usage"' + b"]" * 5_000,
        b'{"type": "error", "error": {"type": "overloaded_error"}, "usage": {"output_tokens": 9}}',
    ],
)
def test_an_event_of_another_shape_says_nothing(event: bytes) -> None:
    known = read(line(START), b"data: " + event + b"\n\n")
    assert known == BEGUN | {"output_tokens": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["message_start", "message_delta", "message"]), "usage": JSON},
        optional={"message": JSON | st.fixed_dictionaries({"usage": JSON})},
    )
)
def test_no_event_stops_the_reading(event: Any) -> None:
    assert read(b"data: " + json.dumps(event).encode() + b"\n", line(END))["output_tokens"] == 44


@pytest.mark.parametrize(
    ("usage", "flat"),
    [
        ({}, {}),
        ({"input_tokens": 3, "cache_read_input_tokens": None}, {"input_tokens": 3}),
        ({"input_tokens": True, "output_tokens": 1.5, "service_tier": "standard"}, {}),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 1}}, {}),
        ({"cache_creation": {"ephemeral_1h_input_tokens": 4}}, {"cache_creation_1h_input_tokens": 4}),
        ({"cache_creation": None, "server_tool_use": None}, {}),
        ({"cache_creation": 3, "server_tool_use": [1]}, {"cache_creation": 3}),
        ({"cache_creation": {"ephemeral_1h_input_tokens": "4"}, "server_tool_use": {"web_search_requests": None}}, {}),
        ({"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}, {"web_search_requests": 2}),
    ],
)
def test_a_usage_is_flattened_to_the_counts_that_have_a_price(usage: Json, flat: dict[str, int]) -> None:
    assert flat_usage(usage) == flat


def test_a_calls_body_is_an_object_or_says_nothing() -> None:
    assert call_of(b'{"model": "m", "messages": []}') == {"model": "m", "messages": []}
    for nothing in (b"", b"{", b"\xff", b"[]", b"null", b'"text"', b"7"):
        assert call_of(nothing) == {}


def test_the_tier_of_a_batch_is_kept_for_its_price() -> None:
    assert flat_usage({"input_tokens": 1, "service_tier": "batch"}) == {"input_tokens": 1, "batch_calls": 1}
    assert flat_usage({"input_tokens": 1, "service_tier": "standard"}) == {"input_tokens": 1}
