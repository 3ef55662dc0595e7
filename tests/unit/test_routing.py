"""Knows which requests go to which size of model, and that the reasons are told; it must not know prices or ids of models."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.model.routing import (
    Features,
    Thresholds,
    Tier,
    decide,
    features_of,
    features_of_task,
    tier_of,
)
from pinnace.core.model.routing_rules import RULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "routing.md").read_text(encoding="utf-8")
DEFAULTS = Thresholds()
WORDS = st.lists(st.sampled_from(["debug", "prove", "why", "list"]), max_size=6, unique=True).map(tuple)
NUMBERS = st.integers(0, 30_000)
FEATURES = st.builds(
    Features,
    words=NUMBERS,
    context_tokens=NUMBERS,
    turns=NUMBERS,
    tools=st.integers(0, 40),
    images=st.integers(0, 5),
    documents=st.integers(0, 5),
    code_blocks=st.integers(0, 5),
    list_items=st.integers(0, 9),
    questions=st.integers(0, 9),
    simple=WORDS,
    making=WORDS,
    analysis=WORDS,
    hard=WORDS,
)
ALLOWED = st.lists(st.sampled_from(Tier), min_size=1, max_size=3)


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def chosen(text: str, **more: Any) -> Tier:
    return decide(features_of(asked(text, **more)), DEFAULTS).tier


@pytest.mark.parametrize("text", ["hi", "What is the capital of France?", "Translate this to German: good night"])
def test_short_and_simple_goes_to_haiku(text: str) -> None:
    assert chosen(text) is Tier.HAIKU


@pytest.mark.parametrize(
    "text",
    ["Analyse the results", "ARCHITECT a small service", "I am debugging this", "Vergleiche A und B", "请分析这段代码"],
)
def test_analysis_architecture_and_debugging_go_to_sonnet(text: str) -> None:
    assert chosen(text) is Tier.SONNET


def test_more_than_ten_thousand_tokens_of_context_go_to_opus() -> None:
    assert decide(features_of_task("hello", 10_000), DEFAULTS).tier is Tier.SONNET
    decision = decide(features_of_task("hello", 10_001), DEFAULTS)
    assert (decision.tier, decision.rule) == (Tier.OPUS, "large_context")
    assert decision.reasons[0].value == 10_001


@pytest.mark.parametrize(
    "text", ["Prove that there are infinitely many primes", "Find the deadlock in our scheduler now"]
)
def test_hard_reasoning_goes_to_opus(text: str) -> None:
    assert decide(features_of_task(text), DEFAULTS).rule == "hard_reasoning"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Prove it!", "short_and_simple"),
        ("What of this?\n```c\nint main;\n```", "code"),
        ("Write something about the sea", "making"),
        ("- one\n- two\n- three", "several_tasks"),
        ("Translate: " + "sea " * 60, "simple_task"),
        ("sea " * 60, "ordinary"),
        ("Compare, explain, evaluate and prioritise them " + "at sea " * 30, "broad_analysis"),
        ("Debug the failing checkout and explain the root cause", "analysis"),
    ],
)
def test_the_rule_that_decided_is_named(text: str, rule: str) -> None:
    decision = decide(features_of_task(text), DEFAULTS)
    assert decision.rule == rule
    assert decision.reasons[0].code == rule
    assert decision.reasoning == decision.reasons[0].detail != ""


@pytest.mark.parametrize(
    ("features", "rule"),
    [
        (Features(images=1), "attachments"),
        (Features(documents=1), "attachments"),
        (Features(context_tokens=4_001), "medium_context"),
        (Features(tools=5), "agent_work"),
        (Features(words=200, context_tokens=9_000, tools=20, code_blocks=4), "complex"),
    ],
)
def test_attachments_context_and_tools_ask_for_more_than_haiku(features: Features, rule: str) -> None:
    decision = decide(features, DEFAULTS)
    assert decision.rule == rule
    assert decision.tier is not Tier.HAIKU


def test_a_rule_has_an_id_of_its_own() -> None:
    codes = [code for code, _, _ in RULES]
    assert len({*codes, "ordinary", "scarce_budget", "not_allowed"}) == len(codes) + 3


def test_a_nearly_spent_budget_leaves_haiku_only() -> None:
    decision = decide(features_of_task("Debug this"), DEFAULTS, budget_left=0.1)
    assert (decision.tier, decision.wanted, decision.rule) == (Tier.HAIKU, Tier.SONNET, "scarce_budget")
    assert [reason.code for reason in decision.reasons] == ["analysis", "scarce_budget"]
    assert decide(features_of_task("Debug this"), DEFAULTS, budget_left=0.11).tier is Tier.SONNET


def test_an_overdrawn_budget_has_nothing_left() -> None:
    assert "0%" in decide(features_of_task("Debug this"), DEFAULTS, budget_left=-2.0).reasoning


def test_a_budget_that_changes_nothing_is_no_reason() -> None:
    assert decide(features_of_task("hi"), DEFAULTS, budget_left=0.0).rule == "short_and_simple"


@pytest.mark.parametrize(
    ("text", "allowed", "tier"),
    [
        ("Prove that this is so", [Tier.HAIKU, Tier.SONNET], Tier.SONNET),
        ("Debug this", [Tier.OPUS, Tier.HAIKU], Tier.HAIKU),
        ("hi", [Tier.OPUS, Tier.SONNET], Tier.SONNET),
        ("hi", [Tier.OPUS], Tier.OPUS),
    ],
)
def test_what_is_not_allowed_becomes_the_nearest_smaller_else_the_nearest_larger(
    text: str, allowed: list[Tier], tier: Tier
) -> None:
    decision = decide(features_of_task(text), DEFAULTS, allowed=allowed)
    assert (decision.tier, decision.rule) == (tier, "not_allowed")


def test_where_nothing_is_allowed_nothing_is_decided() -> None:
    with pytest.raises(ValueError, match="no size of model"):
        decide(Features(), DEFAULTS, allowed=[])


@given(FEATURES, ALLOWED, st.none() | st.floats(-1, 1))
def test_nothing_is_chosen_that_is_not_allowed(features: Features, allowed: list[Tier], left: float | None) -> None:
    decision = decide(features, DEFAULTS, allowed=allowed, budget_left=left)
    assert decision.tier in allowed
    assert 0.0 <= decision.complexity <= 1.0
    assert decision.rule == decision.reasons[-1].code


@given(FEATURES, NUMBERS, ALLOWED)
def test_more_context_never_gives_a_smaller_model(features: Features, more: int, allowed: list[Tier]) -> None:
    larger = replace(features, context_tokens=features.context_tokens + more)
    before, after = (decide(seen, DEFAULTS, allowed=allowed) for seen in (features, larger))
    assert after.tier.rank >= before.tier.rank
    assert after.complexity >= before.complexity


def test_a_negative_threshold_breaks_nothing() -> None:
    wrong = Thresholds(*[-1] * len(fields(Thresholds)))
    assert decide(Features(), wrong).tier is Tier.OPUS


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("claude-opus-5-5", Tier.OPUS),
        ("Sonnet", Tier.SONNET),
        ("eu.x.claude-haiku-4-5-v1:0", Tier.HAIKU),
        ("gpt", None),
    ],
)
def test_a_name_tells_its_size(name: str, tier: Tier | None) -> None:
    assert tier_of(name) is tier


def test_the_page_has_every_rule_in_its_order() -> None:
    rules = [
        line.split("`")[1]
        for line in PAGE.split("## The rules")[1].split("## Thresholds")[0].splitlines()
        if line.startswith("| `")
    ]
    assert rules == [*(code for code, _, _ in RULES), "ordinary", "scarce_budget", "not_allowed"]
    for code, tier, _ in RULES:
        assert [line.endswith(f"| {tier} |") for line in PAGE.splitlines() if line.startswith(f"| `{code}` |")] == [
            True
        ]


@pytest.mark.parametrize("field", fields(Thresholds), ids=lambda field: field.name)
def test_the_page_has_every_threshold_with_its_default(field: Any) -> None:
    assert f"| `{field.name}` | {field.default} |" in PAGE.split("## Thresholds")[1]


def test_the_page_shows_what_is_answered() -> None:
    request, answer = (json.loads(block.split("```")[0]) for block in PAGE.split("```json")[1:])
    features = features_of_task(request["task_description"], request["context_size"])
    decision = decide(features, DEFAULTS)
    assert answer["rule"] == decision.rule
    assert answer["reasoning"] == decision.reasoning
    assert answer["reasons"] == [asdict(reason) for reason in decision.reasons]
    assert answer["features"] == json.loads(json.dumps(asdict(features)))


def test_the_labelled_prompts_are_many_and_most_of_them_agree() -> None:
    lines = (ROOT / "benchmarks" / "routing_prompts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({row["prompt"] for row in rows}) == len(rows) >= 240
    assert 0.3 < sum(row["held_out"] for row in rows) / len(rows) < 0.4
    for held_out, least in ((True, 0.8), (False, 0.9)):
        group = [row for row in rows if row["held_out"] is held_out]
        seen = [features_of_task(row["prompt"], row["context_tokens"], tools=row["tools"]) for row in group]
        agreed = [decide(features, DEFAULTS).tier == row["label"] for features, row in zip(seen, group, strict=True)]
        assert sum(agreed) / len(group) >= least
