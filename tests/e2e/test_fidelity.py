"""Knows that what a caller sends reaches the model as it was sent, in the `messages` profile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import MODEL, Served

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
TOOL = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"city": {}},
    },
    "cache_control": {"type": "ephemeral"},
}
ROUND_TRIP: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather in Oslo and Rome?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Two calls.", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "eA=="},
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            {
                "type": "tool_use",
                "id": "call_2",
                "name": "get_weather",
                "input": {"city": "Rome", "deep": {"a": [1, 2.5, None]}},
            },
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "-5"},
            {
                "type": "tool_result",
                "tool_use_id": "call_2",
                "is_error": True,
                "content": [
                    {"type": "text", "text": "no data"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
        ],
    },
]
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "one string": [{"role": "user", "content": "Hello, @/etc/passwd and /clear"}],
    "same-role neighbours": [
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
    ],
    "several turns": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ],
    "prefill": [{"role": "user", "content": "Give JSON"}, {"role": "assistant", "content": "{"}],
    "tool round trip, results last": ROUND_TRIP,
    "an image": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
        }
    ],
    "documents": [
        {
            "role": "user",
            "content": [
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
                    "title": "T",
                },
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "x"}],
                    "citations": {"enabled": True},
                },
            ],
        }
    ],
    "a system turn in the middle": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "c"},
    ],
    "a server tool's blocks": [
        {"role": "user", "content": "search"},
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {"type": "text", "text": "found"},
            ],
        },
        {"role": "user", "content": "more"},
    ],
    "unusual text": [
        {"role": "user", "content": "\u2028 \U0001f9ed \x01 <system-reminder> </s> \\n \" ' $(id) %s {0}"}
    ],
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "system string": {"system": "You are terse."},
    "system blocks": {
        "system": [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "B"}]
    },
    "sampling": {"temperature": 0.3, "top_p": 0.9, "top_k": 5, "stop_sequences": ["END", "\n\n"]},
    "tools": {"tools": [TOOL, {"name": "other", "input_schema": {"type": "object"}}]},
    "no tools at all": {"tools": []},
    "forced tool": {
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    },
    "any tool": {"tools": [TOOL], "tool_choice": {"type": "any"}},
    "no tool": {"tools": [TOOL], "tool_choice": {"type": "none"}},
    "server tool": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    "adaptive thinking": {"thinking": {"type": "adaptive"}},
    "no thinking": {"thinking": {"type": "disabled"}},
    "output": {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}},
    "metadata": {"metadata": {"user_id": "u-1"}},
    "large": {"max_tokens": 128000, "service_tier": "standard_only"},
    "cache": {"cache_control": {"type": "ephemeral"}},
    "context management": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    "an unknown field": {"a_field_of_tomorrow": {"x": [1]}},
}


def sent(messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 64, "messages": messages} | fields


def as_received(body: dict[str, Any]) -> dict[str, Any]:
    """The CLI always streams; nothing else may differ."""
    return {**body, "stream": True}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_reach_the_model_block_by_block(served: Served, name: str) -> None:
    body = sent(MESSAGES[name])
    answer = served.post(body)
    assert answer.status_code == 200, answer.text
    assert served.upstream.bodies == [as_received(body)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_reach_the_model_as_written_and_no_other(served: Served, name: str) -> None:
    body = sent([{"role": "user", "content": "hi"}], **PARAMETERS[name])
    answer = served.post(body)
    assert answer.status_code == 200, answer.text
    assert served.upstream.bodies == [as_received(body)]


def test_nothing_of_a_call_is_left_for_the_next_one_on_the_same_process(served: Served) -> None:
    rich = sent(ROUND_TRIP, tools=[TOOL], system="SECRET", temperature=0.1, metadata={"user_id": "u"})
    plain = sent([{"role": "user", "content": "hi"}])
    for body in (rich, plain, rich, plain):
        assert served.post(body).status_code == 200
    assert served.upstream.bodies == [as_received(body) for body in (rich, plain, rich, plain)]


def test_betas_and_the_api_version_are_the_callers(served: Served) -> None:
    served.post(sent([{"role": "user", "content": "hi"}]), anthropic_beta="one-2026-01-01, two-2026-02-02")
    served.post(sent([{"role": "user", "content": "hi"}]), anthropic_version="2026-10-21")
    first, second = [seen.headers for seen in served.upstream.requests if seen.method == "POST"]
    assert first["anthropic-beta"] == "one-2026-01-01,two-2026-02-02"
    assert first["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in second
    assert second["anthropic-version"] == "2026-10-21"


def test_the_prompt_tells_nothing_of_the_host(served: Served) -> None:
    served.ask("hi")
    recorded = json.dumps(served.upstream.bodies)
    assert str(served.directory) not in recorded
    assert "device_id" not in recorded


def test_an_integer_that_json_numbers_cannot_carry_is_refused_by_name(served: Served) -> None:
    answer = served.ask("hi", metadata={"user_id": "u", "n": 2**60})
    assert answer.status_code == 400
    assert "metadata.n" in answer.json()["error"]["message"]
    assert served.upstream.bodies == []


def test_a_large_history_reaches_the_model_whole(served: Served) -> None:
    messages = [{"role": ("user", "assistant")[i % 2], "content": f"{i} " + "word " * 400} for i in range(401)]
    assert served.post(sent(messages)).status_code == 200
    assert served.upstream.bodies[0]["messages"] == messages


text = st.text(min_size=1, max_size=30).filter(lambda value: value.strip() and not value.startswith("::"))
clean = text.map(lambda value: value.replace("::", ";;").rstrip() or "x")
blocks = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": clean}), min_size=1, max_size=3)
content = st.one_of(clean, blocks)
leaf = st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), clean)
inputs = st.dictionaries(clean, st.recursive(leaf, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for index in range(draw(st.integers(0, 3))):
        messages.append({"role": "user", "content": draw(content)})
        if draw(st.booleans()):
            call = {"type": "tool_use", "id": f"toolu_{index}", "name": "t", "input": draw(inputs)}
            messages.append({"role": "assistant", "content": [{"type": "text", "text": draw(clean)}, call]})
            result = {"type": "tool_result", "tool_use_id": f"toolu_{index}", "content": draw(content)}
            messages.append({"role": "user", "content": [result]})
        messages.append({"role": "assistant", "content": draw(content)})
    return [*messages, {"role": "user", "content": draw(content)}]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(messages=conversations(), system=st.one_of(st.none(), clean))
def test_any_history_that_goes_in_comes_out_upstream(
    served: Served, messages: list[dict[str, Any]], system: str | None
) -> None:
    served.upstream.forget()
    body = sent(messages) | ({} if system is None else {"system": system})
    answer = served.post(body)
    assert answer.status_code == 200, answer.text
    assert served.upstream.bodies == [as_received(body)]
