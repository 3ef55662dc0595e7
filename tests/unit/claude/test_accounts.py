"""Knows how a run's tokens and cost add up, also where a message was cut; it must not know where the events come from."""

from __future__ import annotations

from typing import Any

import pytest

from pinnace.core.adapters.claude.accounts import Account

Json = dict[str, Any]


def start(model: str = "claude-x", **usage: Any) -> Json:
    return {"type": "message_start", "message": {"model": model, "usage": usage}}


def delta(**usage: Any) -> Json:
    return {"type": "message_delta", "delta": {}, "usage": usage}


STOP: Json = {"type": "message_stop"}


def account(*events: Json) -> Account:
    made = Account()
    for event in events:
        made.see(event)
    return made


def used(made: Account) -> dict[str, int]:
    return dict(made.outcome(warm=False, fallback=None).usage)


def totals(cost: float, **models: dict[str, int]) -> Json:
    return {"total_cost_usd": cost, "modelUsage": models}


def test_a_run_without_events_used_nothing() -> None:
    outcome = account().outcome(warm=True, fallback="expired")
    assert (dict(outcome.usage), outcome.cost_microusd, outcome.calls, dict(outcome.by_model)) == ({}, 0, 0, {})
    assert (outcome.warm, outcome.fallback) == (True, "expired")


def test_the_last_figures_of_a_message_replace_its_first() -> None:
    made = account(start(input_tokens=10, output_tokens=1), delta(output_tokens=5), delta(output_tokens=9), STOP)
    assert used(made) == {"input_tokens": 10, "output_tokens": 9}


def test_several_messages_add_up() -> None:
    made = account(
        start(input_tokens=10, output_tokens=1),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        delta(output_tokens=5),
        STOP,
        start(input_tokens=20, output_tokens=1, cache_read_input_tokens=8),
        delta(output_tokens=7),
        STOP,
    )
    assert used(made) == {"input_tokens": 30, "output_tokens": 12, "cache_read_input_tokens": 8}
    assert made.calls == 2


def test_what_is_no_count_is_left_out() -> None:
    usage: Json = {
        "input_tokens": 3,
        "service_tier": "standard",
        "cache_creation": {"x": 1},
        "flag": True,
        "none": None,
    }
    assert used(account(start(**usage), delta(), STOP)) == {"input_tokens": 3}


def test_usage_that_is_null_counts_nothing() -> None:
    event = {"type": "message_start", "message": {"model": "claude-x", "usage": None}}
    assert used(account(event, {"type": "message_delta", "delta": {}}, STOP)) == {}


def test_each_model_has_its_share() -> None:
    made = account(
        start("claude-x", input_tokens=10),
        STOP,
        start("claude-y", input_tokens=5),
        STOP,
        start("claude-x", input_tokens=1),
        STOP,
    )
    assert made.outcome(warm=False, fallback=None).by_model == {
        "claude-x": {"input_tokens": 11},
        "claude-y": {"input_tokens": 5},
    }
    assert used(made) == {"input_tokens": 16}


def test_a_message_that_was_cut_counts_with_what_it_told() -> None:
    made = account(start(input_tokens=10, output_tokens=1), STOP, start(input_tokens=20, output_tokens=1))
    outcome = made.outcome(warm=False, fallback=None)
    assert outcome.usage == {"input_tokens": 30, "output_tokens": 2}
    assert outcome.by_model == {"claude-x": {"input_tokens": 30, "output_tokens": 2}}
    assert made.outcome(warm=False, fallback=None) == outcome


def test_a_message_that_was_cut_is_settled_from_the_totals_of_the_cli() -> None:
    made = account(
        start(input_tokens=10, output_tokens=1),
        delta(output_tokens=5),
        STOP,
        start(input_tokens=20, output_tokens=1),
    )
    before = totals(0.0, **{"claude-x": {"inputTokens": 1000, "outputTokens": 100}})
    made.settle(totals(0.0, **{"claude-x": {"inputTokens": 1030, "outputTokens": 100 + 5 + 40}}), before)
    outcome = made.outcome(warm=False, fallback=None)
    assert outcome.usage == {"input_tokens": 30, "output_tokens": 45}
    assert outcome.by_model == {"claude-x": {"input_tokens": 30, "output_tokens": 45}}


def test_the_totals_do_not_take_back_what_a_cut_message_told() -> None:
    made = account(start(input_tokens=20, output_tokens=3))
    made.settle(totals(0.0, **{"claude-x": {"inputTokens": 0, "outputTokens": 0}}), {})
    assert used(made) == {"input_tokens": 20, "output_tokens": 3}


def test_the_totals_of_another_model_do_not_settle_a_cut_message() -> None:
    made = account(start("claude-x", input_tokens=20))
    made.settle(totals(0.0, **{"claude-y": {"inputTokens": 900}}), {})
    assert used(made) == {"input_tokens": 20}


def test_a_complete_message_is_not_counted_again_from_the_totals() -> None:
    made = account(start(input_tokens=10), delta(output_tokens=5), STOP)
    made.settle(totals(0.1, **{"claude-x": {"inputTokens": 900, "outputTokens": 900}}), {})
    assert used(made) == {"input_tokens": 10, "output_tokens": 5}


def test_messages_of_interleaved_streams_are_counted_each_for_itself() -> None:
    made = Account()
    for event, stream in (
        (start("claude-x", input_tokens=10, output_tokens=1), None),
        (start("claude-y", input_tokens=20, output_tokens=2), "toolu_1"),
        (start("claude-y", input_tokens=30, output_tokens=3), "toolu_2"),
        (delta(output_tokens=11), None),
        (delta(output_tokens=33), "toolu_2"),
        (STOP, "toolu_2"),
        (delta(output_tokens=22), "toolu_1"),
        (STOP, None),
        (STOP, "toolu_1"),
    ):
        made.see(event, stream)
    assert made.outcome(warm=False, fallback=None).by_model == {
        "claude-x": {"input_tokens": 10, "output_tokens": 11},
        "claude-y": {"input_tokens": 50, "output_tokens": 55},
    }
    assert (used(made), made.calls) == ({"input_tokens": 60, "output_tokens": 66}, 3)


def test_a_message_that_another_one_cuts_off_keeps_what_it_told() -> None:
    made = account(start("claude-x", input_tokens=10, output_tokens=1), start("claude-y", input_tokens=20), STOP)
    assert made.outcome(warm=False, fallback=None).by_model == {
        "claude-x": {"input_tokens": 10, "output_tokens": 1},
        "claude-y": {"input_tokens": 20},
    }
    made.settle(
        totals(0.0, **{"claude-x": {"inputTokens": 10, "outputTokens": 40}, "claude-y": {"inputTokens": 99}}), {}
    )
    assert used(made) == {"input_tokens": 30, "output_tokens": 40}


def test_messages_of_several_streams_that_were_cut_are_settled_together() -> None:
    made = Account()
    made.see(start("claude-x", input_tokens=10, output_tokens=1))
    made.see(start("claude-x", input_tokens=20, output_tokens=1), "toolu_1")
    made.see(start("claude-y", input_tokens=5, output_tokens=1), "toolu_2")
    after = totals(
        0.0, **{"claude-x": {"inputTokens": 30, "outputTokens": 50}, "claude-y": {"inputTokens": 5, "outputTokens": 7}}
    )
    made.settle(after, {})
    assert used(made) == {"input_tokens": 35, "output_tokens": 57}


@pytest.mark.parametrize(
    ("after", "before", "microusd"),
    [
        (totals(0.25), {}, 250_000),
        (totals(0.25), totals(0.1), 150_000),
        (totals(0.3), totals(0.1), 200_000),
        (totals(0.1), totals(0.1), 0),
        (totals(0.0000004), {}, 0),
        (totals(0.000001), {}, 1),
        ({}, {}, 0),
        ({"total_cost_usd": 0.5, "modelUsage": None}, {"total_cost_usd": 0.25, "modelUsage": None}, 250_000),
    ],
)
def test_the_cost_is_the_difference_of_the_totals(after: Json, before: Json, microusd: int) -> None:
    made = account(start(input_tokens=1), STOP)
    made.settle(after, before)
    assert made.finished
    assert made.outcome(warm=False, fallback=None).cost_microusd == microusd
