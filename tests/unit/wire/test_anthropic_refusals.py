"""Knows which requests are refused, at which path and in which words; it must not know how they are judged."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic_requests import DOCUMENT, TOOL, body, call, image, result, user

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.anthropic.requests import parse_messages_request


def refusal(written: dict[str, Any], **how: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_messages_request(orjson.dumps(written), **how)
    return caught.value


@pytest.mark.parametrize(
    ("wrong", "path", "words"),
    [
        (body(model=...), "model", "model: Field required"),
        (body(model=""), "model", "model: Input must be a non-empty string"),
        (body(max_tokens=...), "max_tokens", "max_tokens: Field required"),
        (body(max_tokens=True), "max_tokens", "max_tokens: Input should be a valid integer"),
        (body(max_tokens=-1), "max_tokens", "max_tokens: Input must be at least 0"),
        (body(max_tokens=1.5), "max_tokens", "valid integer"),
        (body(messages=[]), "messages", "messages: List must have at least 1 item"),
        (body(max_tokens="5", messages=[], top_k=-1), "messages", "(and 2 more)"),
        (body(stream="yes"), "stream", "Input should be true or false"),
        (body(temperature=1.5), "temperature", "Input must be at most 1"),
        (body(temperature=True), "temperature", "valid number"),
        (body(stop_sequences="x"), "stop_sequences", "valid list"),
        (body(service_tier="fast"), "service_tier", "Input should be 'auto' or 'standard_only'"),
        (body(metadata={"user_id": 1}), "metadata.user_id", "valid string"),
        (body(output_config={"effort": "huge"}), "output_config.effort", "Input should be 'low', 'medium'"),
        (body(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema", "Field required"),
        (body(cache_control={"type": "ephemeral", "ttl": "2h"}), "cache_control.ttl", "Input should be '5m' or '1h'"),
        (body(system=5), "system", "Input should be a string or a list of content blocks"),
        (body(system=[{"type": "text", "text": ""}]), "system.0.text", "text content blocks must be non-empty"),
        (body(thinking={"type": "enabled", "budget_tokens": 1000}), "thinking.budget_tokens", "must be at least 1024"),
        (body(thinking={"type": "enabled", "budget_tokens": 4096}), "max_tokens", "must be greater than"),
        (body(thinking={"type": "on"}), "thinking", "'enabled', 'disabled', 'adaptive', 'between_tools'"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_path(wrong: dict[str, Any], path: str, words: str) -> None:
    error = refusal(wrong)
    assert error.path == path
    assert words in str(error)


@pytest.mark.parametrize(
    ("message", "path", "words"),
    [
        ({"role": "tool", "content": "x"}, "role", "Input should be 'user', 'assistant' or 'system'"),
        ({"content": "x"}, "role", "Field required"),
        ({"role": "user"}, "content", "Field required"),
        ({"role": "user", "content": 4}, "content", "a string or a list of content blocks"),
        (user("x"), "content.0", "Input should be an object"),
        (user({"text": "x"}), "content.0.type", "Field required"),
        (user({"type": 4}), "content.0.type", "valid string"),
        (
            user({"type": "video"}),
            "content.0",
            "Input tag 'video' found using 'type' does not match any of the expected",
        ),
        (user({"type": "text", "text": ""}), "content.0.text", "text content blocks must be non-empty"),
        (user({"type": "thinking", "thinking": "x", "signature": 5}), "content.0.signature", "valid string"),
        (user(image(type="s3")), "content.0.source", "'base64', 'url', 'file'"),
        (
            user(image(type="base64", media_type="image/jpg", data="aaaa")),
            "content.0.source.media_type",
            "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (user(image(type="base64", media_type="image/png", data="aaa")), "content.0.source.data", "valid base64"),
        (user(image(type="base64", media_type="image/png", data="a_-a")), "content.0.source.data", "valid base64"),
        (user(image(type="base64", media_type="image/png", data="é")), "content.0.source.data", "valid base64"),
        (
            user(image(type="base64", media_type="image/png", data="data:image/png;base64,aaaa")),
            "content.0.source.data",
            "without the 'data:",
        ),
        (
            user({"type": "document", "source": {"type": "content", "content": [image(type="url")]}}),
            "content.0.source.content.0.source.url",
            "Field required",
        ),
        (
            user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_use"}]}),
            "content.0.content.0",
            "'tool_reference'",
        ),
    ],
)
def test_a_wrong_message_is_refused_by_its_path(message: dict[str, Any], path: str, words: str) -> None:
    error = refusal(body(user(), message))
    assert error.path == f"messages.1.{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"tools": [{**TOOL, "name": "a b"}]}, "tools.0.name", "^[a-zA-Z0-9_-]{1,128}$"),
        ({"tools": [{**TOOL, "name": "a\n"}]}, "tools.0.name", "should match pattern"),
        ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.input_schema.type", "Field required"),
        ({"tools": [{"name": "a", "input_schema": {"type": "array"}}]}, "tools.0.input_schema.type", "'object'"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0", "'function'"),
        ({"tools": [TOOL, TOOL]}, "tools.1.name", "Tool names must be unique"),
        ({"tool_choice": {"type": "any"}}, "tool_choice", "while providing `tools`"),
        ({"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name", "Field required"),
        ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [TOOL]}, "tool_choice.name", "'x' not found"),
        (
            {"tool_choice": {"type": "any"}, "tools": [TOOL], "thinking": {"type": "enabled", "budget_tokens": 1024}},
            "thinking",
            "Thinking may not be enabled when tool_choice forces tool use",
        ),
    ],
)
def test_wrong_tools_are_refused_by_their_path(fields: dict[str, Any], path: str, words: str) -> None:
    error = refusal(body(**fields))
    assert error.path == path
    assert words in str(error)


@pytest.mark.parametrize(
    ("messages", "path", "words"),
    [
        (
            [user(), call("toolu_1", "toolu_2"), result("toolu_2")],
            "messages.1",
            (
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ),
        ),
        ([user(), call("toolu_1")], "messages.1", "without `tool_result` blocks"),
        ([user(), call("a"), user(), call("b"), result("a")], "messages.1", "immediately after: a."),
        ([result("a")], "messages.0.content.0", "unexpected `tool_use_id` found in `tool_result` blocks: a."),
        ([user(), call("a"), result("a", "b")], "messages.2.content.1", "unexpected `tool_use_id`"),
        ([user(), call("a"), result("a"), call("a"), result("a")], "messages.3.content.0", "ids must be unique"),
        ([user(), call("a"), result("a", "a")], "messages.2.content.1", "must have a single result"),
        ([{**call("a"), "role": "user"}], "messages.0.content.0", "can only be in `assistant` messages"),
        ([{**result("a"), "role": "assistant"}], "messages.0.content.0", "can only be in `user` messages"),
        ([{"role": "user", "content": ""}], "messages.0", "must have non-empty content"),
        ([user(), {"role": "assistant", "content": "So "}], "messages.1", "cannot end with trailing whitespace"),
    ],
)
def test_messages_that_do_not_fit_together_are_refused(messages: list[dict[str, Any]], path: str, words: str) -> None:
    error = refusal(body(*messages))
    assert error.path == path
    assert words in str(error)


def test_a_thread_is_refused_in_the_way_that_makes_the_sdk_send_the_history() -> None:
    error = refusal(body(thread={"type": "create"}))
    assert error.details == {"error_code": "thread_unsupported_request", "unsupported": []}


REMOVED = [
    (body(temperature=0.5), "temperature"),
    (body(top_p=0.5), "top_p"),
    (body(top_k=5), "top_k"),
    (body(user(), {"role": "assistant", "content": [DOCUMENT]}, user()), "messages.1.content.0"),
    (body(user({"type": "text", "text": "x", "citations": []})), "messages.0.content.0.citations"),
]


@pytest.mark.parametrize(("removed", "path"), REMOVED)
def test_what_the_new_version_removed_is_refused_only_when_strict(removed: dict[str, Any], path: str) -> None:
    assert refusal(removed, strict=True, versioned="2026-10-21").path == path
    parse_messages_request(orjson.dumps(removed), versioned="2026-10-21")
    parse_messages_request(orjson.dumps(removed), strict=True, versioned="2023-06-01")


def test_a_long_name_does_not_come_back_whole() -> None:
    assert len(str(refusal(body(user({"type": "x" * 10_000}))))) < 500
