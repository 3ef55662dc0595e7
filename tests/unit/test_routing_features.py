"""Knows what is seen of a request's difficulty, in any body; it must not know which size of model follows."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.model.routing_features import features_of, features_of_task
from pinnace.core.model.routing_words import Kind, keywords_in

TEXT = st.text(alphabet=st.characters(), max_size=60)
BLOCK = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": TEXT}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": TEXT, "input": st.dictionaries(TEXT, st.integers())}),
    st.fixed_dictionaries({"type": st.just("tool_result"), "tool_use_id": TEXT}),
    st.fixed_dictionaries({"type": st.just("image"), "source": st.just({"type": "url", "url": "https://a.example/b"})}),
    st.fixed_dictionaries({"type": st.just("document"), "source": st.just({"type": "file", "file_id": "f"})}),
    st.fixed_dictionaries({"type": TEXT, "content": st.none() | TEXT}),
)
CONTENT = TEXT | st.lists(BLOCK, max_size=4)
BODY = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": CONTENT}),
            max_size=4,
        )
    },
    optional={
        "system": TEXT | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}), max_size=2),
        "tools": st.none() | st.lists(st.dictionaries(TEXT, TEXT, max_size=2), max_size=3),
    },
)


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@given(BODY)
def test_the_features_of_a_valid_body_can_always_be_seen(body: dict[str, Any]) -> None:
    seen = features_of(body)
    assert seen.context_tokens >= seen.words // 4
    assert seen.turns <= len(body["messages"])
    assert seen.tools == len(body.get("tools") or [])


@given(st.recursive(st.none() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_the_features_of_a_wrong_body_can_be_seen_too(part: Any) -> None:
    features_of({"messages": part, "system": part, "tools": part})
    features_of({"messages": [{"role": "user", "content": part}, part]})


def test_words_are_those_of_the_last_turn_and_context_is_all() -> None:
    body = {
        "system": [{"type": "text", "text": "s" * 400}],
        "messages": [
            {"role": "user", "content": "Prove the theorem " * 100},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "thanks a lot"},
        ],
    }
    seen = features_of(body)
    assert (seen.words, seen.hard, seen.turns) == (3, (), 2)
    assert seen.context_tokens > 500


def test_the_results_of_tools_are_no_question() -> None:
    results = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "prove " * 9}]}],
    }
    asks = {"role": "user", "content": "Debug the build"}
    used = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}],
    }
    seen = features_of({"messages": [asks, used, results]})
    assert (seen.analysis, seen.hard, seen.turns) == (("debug",), (), 1)


def test_what_a_client_adds_as_a_reminder_is_not_asked() -> None:
    seen = features_of(asked("<system-reminder>Debug and prove everything here.</system-reminder>hi"))
    assert (seen.words, seen.analysis, seen.hard) == (1, (), ())


def test_what_is_quoted_is_talked_about() -> None:
    seen = features_of_task('Is "debugging" spelled with one g?')
    assert (seen.words, seen.analysis, seen.questions) == (6, (), 1)


def test_words_within_code_ask_for_nothing() -> None:
    seen = features_of_task("What is it?\n```\nraise ProofError  # prove\n```")
    assert (seen.hard, seen.code_blocks, seen.words) == ((), 1, 3)


def test_what_is_asked_after_a_long_text_is_found_and_the_middle_is_not_read() -> None:
    seen = features_of_task("sea " * 500 + "prove " + "sea " * 500 + "Now compare both.")
    assert (seen.hard, seen.analysis) == ((), ("compar",))


def test_attachments_weigh_by_kind() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "A" * 400_000}
    pdf = {"type": "document", "source": source}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a" * 4_000}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    linked = {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}
    weights = [features_of(asked("", system=[block])).context_tokens for block in (pdf, text, image, linked)]
    assert weights == [10_000, 1_000, 1_600, 4_000]


def test_attachments_within_the_result_of_a_tool_count() -> None:
    shot = {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [shot]}
    assert features_of({"messages": [{"role": "user", "content": [result]}]}).images == 1


def test_counted_tokens_take_the_place_of_the_estimate() -> None:
    assert features_of(asked("hi"), context_tokens=12_345).context_tokens == 12_345


def test_the_definitions_of_tools_are_counted_and_not_weighed() -> None:
    seen = features_of(asked("hi", tools=[{"name": "a", "description": "x" * 90_000}]))
    assert (seen.tools, seen.context_tokens) == (1, 1)


def test_chinese_is_words_too() -> None:
    assert features_of_task("分析这段代码的问题").words == 4


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("debugging, Debugger", Kind.ANALYSIS, ("debug",)),
        ("a plane in an airplane", Kind.ANALYSIS, ()),
        ("improve the provenance", Kind.HARD, ()),
        ("the race\n  conditions", Kind.HARD, ("race condition",)),
        ("a TLA+ model", Kind.HARD, ("tla+",)),
        ("докажите это", Kind.HARD, ("докаж",)),
        ("これを証明して", Kind.HARD, ("証明",)),
    ],
)
def test_a_word_matches_whole_and_in_any_case(text: str, kind: Kind, found: tuple[str, ...]) -> None:
    assert keywords_in(text)[kind] == found


@pytest.mark.parametrize(
    "part", ['"', "```", "<system-reminder>", "\n", " ", "- ", "?", "prove ", "race ", "“", "字", "1. "]
)
def test_a_long_text_takes_no_long_time(part: str) -> None:
    text = part * (1_000_000 // len(part))
    started = time.perf_counter()
    features_of(asked(text))
    assert time.perf_counter() - started < 2.0
