"""Knows what the settings, tools and schemas of a chat request amount to; it must not know what is said in one."""

from __future__ import annotations

from typing import Any

import pytest
from chat_requests import translated
from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel

from pinnace.core.wire.openai.parameters import IGNORED

LOOK_UP = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


class Ship(BaseModel):
    """A ship."""

    name: str
    masts: int


def test_settings_are_carried_under_anthropics_names() -> None:
    body = translated(
        max_completion_tokens=9,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop=["one", "two"],
        safety_identifier="s",
        user="u",
        reasoning_effort="minimal",
        service_tier="default",
        thinking={"type": "adaptive"},
    )
    del body["messages"], body["model"], body["stream"]
    assert body == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop_sequences": ["one", "two"],
        "metadata": {"user_id": "s"},
        "output_config": {"effort": "low"},
        "service_tier": "standard_only",
        "thinking": {"type": "adaptive"},
    }


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ({"stop": "one"}, {"stop_sequences": ["one"]}),
        ({"stop": []}, {}),
        ({"temperature": 2}, {"temperature": 1}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"user": ""}, {}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "xhigh"}, {"output_config": {"effort": "xhigh"}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"tools": []}, {}),
        ({"tool_choice": "auto"}, {}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {}),
    ],
)
def test_a_setting_becomes_its_counterpart(given: dict[str, Any], carried: dict[str, Any]) -> None:
    assert translated(**given) == {**translated(), **carried}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "modalities": ["text"], "store": False, "verbosity": "medium"},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "functions": []},
        {"unknown": None, "n": None, "stop": None, "tools": None, "tool_choice": None, "parallel_tool_calls": None},
        {"stream_options": None, "response_format": None, "temperature": None, "audio": None, "function_call": None},
        dict.fromkeys(IGNORED, "anything"),
    ],
)
def test_what_asks_for_no_effect_changes_nothing(fields: dict[str, Any]) -> None:
    assert translated(**fields) == translated()


def test_a_function_becomes_a_tool() -> None:
    schema = to_strict_json_schema(Ship)
    functions: list[dict[str, Any]] = [
        {"name": "board", "description": "Boards a ship", "parameters": schema, "strict": True},
        {"name": "leave", "strict": False, "description": None},
        {"name": "wait", "parameters": {"properties": {"for": {"type": "integer"}}, "required": ["for"]}},
    ]
    tools = [{"type": "function", "function": function} for function in functions]
    tools[1]["cache_control"] = {"type": "ephemeral"}
    assert translated(tools=tools)["tools"] == [
        {"name": "board", "description": "Boards a ship", "input_schema": schema, "strict": True},
        {
            "name": "leave",
            "input_schema": {"type": "object", "properties": {}},
            "cache_control": {"type": "ephemeral"},
        },
        {
            "name": "wait",
            "input_schema": {"type": "object", "properties": {"for": {"type": "integer"}}, "required": ["for"]},
        },
    ]


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ({}, None),
        ({"parallel_tool_calls": True}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "look_up"}}}, {"type": "tool", "name": "look_up"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
)
def test_the_choice_among_tools_is_carried(given: dict[str, Any], carried: dict[str, Any] | None) -> None:
    assert translated(tools=[LOOK_UP], **given).get("tool_choice") == carried


def test_a_schema_for_the_answer_is_carried_with_its_description() -> None:
    schema = to_strict_json_schema(Ship)
    wanted = {"name": "ship", "schema": schema, "strict": True, "description": "What sails"}
    form = {"type": "json_schema", "json_schema": wanted}
    carried = translated(response_format=form, reasoning_effort="high")["output_config"]
    assert carried == {"effort": "high", "format": {"type": "json_schema", "schema": schema}}
    del schema["description"], wanted["description"]
    assert translated(response_format=form)["output_config"]["format"]["schema"] == schema
    wanted["description"] = "What sails"
    assert translated(response_format=form)["output_config"]["format"]["schema"] == {
        **schema,
        "description": "What sails",
    }
