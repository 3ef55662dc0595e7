"""Knows what reaches the model with an OAuth token: the CLI names itself, and the rest is the caller's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served import MODEL, Served, serving

from pinnace.testing.upstream import Upstream

TOKEN = "oauth-upstream-secret"


@pytest.fixture(scope="module")
def subscribed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    variables = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": TOKEN, "PINNACE_AGENT__SPARES": "0"}
    with Upstream() as upstream, serving(tmp_path_factory.mktemp("oauth"), upstream, **variables) as started:
        yield started


def sent(subscribed: Served, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    subscribed.upstream.forget()
    answer = subscribed.post(body, **headers)
    assert answer.status_code == 200, answer.text
    assert len(subscribed.upstream.bodies) == 1
    reached: dict[str, Any] = subscribed.upstream.bodies[0]
    return reached


def test_all_but_the_system_prompt_reaches_the_model_as_sent(subscribed: Served) -> None:
    body = {
        "model": MODEL,
        "max_tokens": 77,
        "temperature": 0.3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "tools": [{"name": "get_weather", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "any"},
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "-5"},
                    {"type": "text", "text": '::tool get_weather {"city":"Rome"}'},
                ],
            },
        ],
    }
    reached = sent(subscribed, body)
    assert {name: reached[name] for name in body} == body


def test_the_system_prompt_follows_the_words_in_which_the_cli_names_itself(subscribed: Served) -> None:
    asked = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    first = sent(subscribed, asked | {"system": "You are a pirate."})["system"]
    assert "Claude" in first[1]["text"]
    assert [block["text"] for block in first[2:]] == ["You are a pirate."]
    blocks = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert [block["text"] for block in sent(subscribed, asked | {"system": blocks})["system"][2:]] == ["One.\n\nTwo."]
    assert len(sent(subscribed, asked)["system"]) == 2


def test_the_callers_betas_join_the_tokens_own(subscribed: Served) -> None:
    asked = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    sent(subscribed, asked, anthropic_beta="mine-2026-01-01")
    headers = subscribed.upstream.requests[-1].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    betas = headers["anthropic-beta"].split(",")
    assert "mine-2026-01-01" in betas
    assert any(beta.startswith("oauth-") for beta in betas)
    sent(subscribed, asked)
    assert "mine-2026-01-01" not in subscribed.upstream.requests[-1].headers["anthropic-beta"]


def test_a_stream_is_the_models_own_and_a_parked_process_is_claimed_for_it(subscribed: Served) -> None:
    subscribed.wait_until(lambda: subscribed.stats()["parked"] >= 1)
    before = subscribed.stats()
    client = subscribed.client()
    with client.messages.stream(
        model=MODEL, max_tokens=50, messages=[{"role": "user", "content": "::text a b c"}]
    ) as stream:
        assert list(stream.text_stream) == ["a", " b", " c"]
    subscribed.wait_until(lambda: subscribed.stats()["served"] == before["served"] + 1)
    after = subscribed.stats()
    assert (after["claimed"], after["fallbacks"]) == (before["claimed"] + 1, before["fallbacks"])


def test_an_answer_that_was_cut_short_is_not_continued_at_the_callers_cost(subscribed: Served) -> None:
    subscribed.upstream.forget()
    answer = subscribed.ask("::text half an ans\n::stop max_tokens")
    assert answer.json()["stop_reason"] == "max_tokens"
    served = subscribed.stats()["served"]
    subscribed.wait_until(lambda: subscribed.stats()["busy"] == 0)
    assert subscribed.stats()["served"] >= served
    assert len(subscribed.upstream.bodies) == 1


def test_a_failure_keeps_its_status_and_type(subscribed: Served) -> None:
    answer = subscribed.ask("::error 529")
    assert (answer.status_code, answer.json()["error"]["type"]) == (529, "overloaded_error")


def test_the_agent_is_served_too(subscribed: Served) -> None:
    answer = subscribed.ask("::text aye", "/sdk")
    assert [block.get("text") for block in answer.json()["content"]] == ["aye"]
