"""Knows in which order events may come; it must not know what they add up to."""

from __future__ import annotations

from typing import Any

import pytest

from pinnace.core.wire.anthropic.grammar import StreamGrammar

Event = dict[str, Any]

START: Event = {"type": "message_start", "message": {}}
END: list[Event] = [{"type": "message_delta", "delta": {}, "usage": {}}, {"type": "message_stop"}]


def opened(index: int) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": {}}


def delta(index: int) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {}}


def closed(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def test_pings_unknown_events_and_further_totals_may_come() -> None:
    grammar = StreamGrammar()
    ping: Event = {"type": "ping"}
    for event in (ping, START, ping, opened(0), ping, {"type": "weather"}, closed(0), END[0], ping, *END):
        assert not grammar.finished
        grammar.admit(event)
    assert grammar.finished


def test_an_event_that_is_refused_changes_nothing() -> None:
    grammar = StreamGrammar()
    with pytest.raises(ValueError, match="before message_start"):
        grammar.admit(opened(0))
    grammar.admit(START)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([opened(0)], "content_block_start came before message_start"),
        ([START, START], "message_start came between blocks"),
        ([START, opened(1)], "content_block_start has index 1 where 0 is next"),
        ([START, opened(0), closed(0), opened(0)], "index 0 where 1 is next"),
        ([START, opened(0), opened(1)], "content_block_start came within a block (block 0 is open)"),
        ([START, opened(0), delta(1)], "content_block_delta has index 1 where 0 is next"),
        ([START, opened(0), END[0]], "message_delta came within a block"),
        ([START, delta(0)], "content_block_delta came between blocks"),
        ([START, END[1]], "message_stop came between blocks"),
        ([START, END[0], opened(0)], "content_block_start came after message_delta"),
        ([START, *END, {"type": "ping"}], "ping came after the end"),
        ([START, {"type": "error"}, END[0]], "message_delta came after the end"),
        ([{"type": None}], "has no type"),
    ],
)
def test_the_grammar_says_what_is_out_of_order(events: list[Event], words: str) -> None:
    grammar = StreamGrammar()
    for event in events[:-1]:
        grammar.admit(event)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        grammar.admit(events[-1])
    assert words in str(caught.value)
