"""Knows how events add up, what order they have and how they look as bytes; it must not know where they come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._beta_messages import accumulate_event as accumulate_beta
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from httpx2 import Headers
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import RateLimited
from pinnace.core.wire.anthropic.assemble import MessageAssembler, replay
from pinnace.core.wire.anthropic.grammar import StreamGrammar
from pinnace.core.wire.anthropic.sse import PING, encode, encode_error

Event = dict[str, Any]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)
citations = st.fixed_dictionaries(
    {
        "type": st.just("char_location"),
        "cited_text": st.text(),
        "document_index": st.integers(0, 9),
        "document_title": st.none() | st.text(),
        "start_char_index": st.integers(0, 9),
        "end_char_index": st.integers(0, 9),
        "file_id": st.none(),
    }
)
inputs = st.dictionaries(st.text(), json_values, max_size=4)
blocks = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": st.text()}, optional={"citations": st.lists(citations, max_size=3)}
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.text(), "signature": st.text()}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": st.text()}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": st.text(), "name": st.text(), "input": inputs}),
    st.fixed_dictionaries(
        {"type": st.just("server_tool_use"), "id": st.text(), "name": st.just("web_search"), "input": inputs}
    ),
)
beta_blocks = st.fixed_dictionaries(
    {"type": st.just("compaction"), "content": st.none() | st.text(), "encrypted_content": st.none() | st.text()}
)
counts = st.integers(0, 9999)
usages = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={"cache_read_input_tokens": counts, "server_tool_use": st.none(), "service_tier": st.just("standard")},
)


def messages(kinds: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "id": st.text(),
            "type": st.just("message"),
            "role": st.just("assistant"),
            "model": st.text(),
            "content": st.lists(kinds, max_size=4),
            "stop_reason": st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal"]),
            "stop_sequence": st.none() | st.text(),
            "usage": usages,
        },
        optional={
            "stop_details": st.none() | st.just({"type": "refusal", "category": "bio", "explanation": "no"}),
            "container": st.none() | st.just({"id": "c", "expires_at": "2026-01-01T00:00:00Z"}),
        },
    )


def assembled(events: Iterable[Event]) -> dict[str, Any]:
    assembler = MessageAssembler()
    for event in events:
        assembler.feed(event)
    return assembler.message()


def by_the_sdk(events: Iterable[Event], *, beta: bool = False) -> dict[str, Any]:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    event: Any
    for event in events:
        if event["type"] in {"ping", "message_stop"}:
            continue
        if beta:
            snapshot = accumulate_beta(
                event=event,
                current_snapshot=snapshot,
                json_bufs=buffers,
                request_headers=Headers(),
            )
        else:
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return dumped(snapshot)


def bare(message: dict[str, Any], *, beta: bool = False) -> dict[str, Any]:
    """Read a message as the SDK reads it, so that both sides leave out the same nulls."""
    kind = BetaMessage if beta else Message
    return dumped(kind.construct(**message))


def dumped(message: Any) -> dict[str, Any]:
    # Without warnings: the SDK keeps what it does not expect, and pydantic would complain of it.
    said: dict[str, Any] = message.model_dump(mode="json", exclude_none=True, exclude_unset=True, warnings=False)
    return said


@st.composite
def cut(draw: st.DrawFn, kinds: st.SearchStrategy[dict[str, Any]]) -> list[Event]:
    """A stream whose deltas are cut anywhere, with pings between them."""
    events: list[Event] = []
    for event in replay(draw(messages(kinds))):
        events += [{"type": "ping"}] if draw(st.booleans()) else []
        events += pieces(draw, event)
    return events


def pieces(draw: st.DrawFn, event: Event) -> list[Event]:
    names = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
    name = names.get(event.get("delta", {}).get("type"), "") if event["type"] == "content_block_delta" else ""
    if not name:
        return [event]
    text = event["delta"][name]
    place = draw(st.integers(0, len(text)))
    return [{**event, "delta": {**event["delta"], name: part}} for part in (text[:place], text[place:])]


def start(**usage: int) -> Event:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def opened(index: int, **block: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def closed(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


END: list[Event] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
]


@given(cut(blocks))
def test_events_add_up_as_in_the_sdk(events: list[Event]) -> None:
    assert bare(assembled(events)) == by_the_sdk(events)


@given(cut(blocks | beta_blocks))
def test_events_add_up_as_in_the_beta_sdk(events: list[Event]) -> None:
    assert bare(assembled(events), beta=True) == by_the_sdk(events, beta=True)


@given(messages(blocks | beta_blocks))
def test_a_replayed_message_adds_up_to_itself(message: dict[str, Any]) -> None:
    assert assembled(replay(message)) == message


@given(cut(blocks | beta_blocks))
def test_the_grammar_admits_a_replay(events: list[Event]) -> None:
    grammar = StreamGrammar()
    for event in events:
        grammar.admit(event)
    assert grammar.finished


@given(cut(blocks | beta_blocks))
def test_the_sdk_reads_the_bytes_back(events: list[Event]) -> None:
    raw = b"".join(encode(event) for event in events)
    said = list(SSEDecoder().iter_bytes(iter([raw])))
    assert [event.json() for event in said] == events
    assert [event.event for event in said] == [event["type"] for event in events]


@given(st.text())
def test_an_event_has_two_lines_for_every_client(text: str) -> None:
    assert len(encode({"type": "x", "text": text}).decode().splitlines()) == 3


def test_characters_that_some_clients_take_for_line_breaks_are_escaped() -> None:
    assert (
        encode({"type": "x", "t": "\u0085\u2028\u2029"})
        == b'event: x\ndata: {"type":"x","t":"\\u0085\\u2028\\u2029"}\n\n'
    )


def test_a_ping_and_an_error_are_events_like_others() -> None:
    assert PING == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert encode_error(RateLimited("slow down", retry_after=1), "req_1").startswith(
        b'event: error\ndata: {"type":"error"'
    )


@pytest.mark.parametrize("kind", [None, "", 5, "a\nb", "a\rb"])
def test_a_type_that_would_break_the_line_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="type"):
        encode({"type": kind})


def test_an_input_without_fragments_is_empty() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
    events = [start(), opened(0, **tool), delta(0, type="input_json_delta", partial_json=""), closed(0), *END]
    assert assembled(events)["content"] == [tool]


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": [1, 2', {"a": [1, 2]}), ('{"a": 1, "b', {"a": 1}), ("{nonsense}", {"INVALID_JSON": "{nonsense}"})],
)
def test_an_input_that_was_cut_short_keeps_what_can_be_read(text: str, value: Any) -> None:
    events = [start(), opened(0, type="tool_use", input={}), delta(0, type="input_json_delta", partial_json=text)]
    assert assembled(events)["content"][0]["input"] == value


def test_counts_at_the_end_are_totals_and_those_left_out_survive() -> None:
    closing = {
        **END[0],
        "usage": {"output_tokens": 40, "input_tokens": None},
        "context_management": {"applied_edits": []},
    }
    message = assembled([start(input_tokens=5, output_tokens=1), closing])
    assert message["usage"] == {"input_tokens": 5, "output_tokens": 40}
    assert message["context_management"] == {"applied_edits": []}


def test_unknown_events_are_ignored_and_unknown_deltas_are_kept() -> None:
    events = [
        start(),
        {"type": "weather", "index": 9},
        opened(0, type="poem", line="a"),
        delta(0, type="line_delta", line="b", rhyme={"x": 1}),
        delta(0, type="line_delta", line="c"),
        closed(0),
    ]
    assert assembled(events)["content"] == [{"type": "poem", "line": "abc", "rhyme": {"x": 1}}]


def test_nulls_that_clients_refuse_are_left_out() -> None:
    events = [start(), opened(0, type="text", text="x", citations=None), opened(1, type="tool_use", caller=None)]
    assert assembled(events)["content"] == [{"type": "text", "text": "x"}, {"type": "tool_use"}]


def test_a_fallback_names_the_model_that_answered() -> None:
    fallback = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}
    assert assembled([start(), opened(0, **fallback), closed(0)])["model"] == "b"


def test_the_parts_of_a_message_that_was_fed_stay_as_they_were() -> None:
    events = [start(), opened(0, type="text", text=""), delta(0, type="text_delta", text="x"), closed(0), *END]
    before = orjson.dumps(events)
    assembled(events)
    assert orjson.dumps(events) == before


def test_nothing_adds_up_before_the_start() -> None:
    with pytest.raises(ValueError, match="message_start"):
        MessageAssembler().message()
