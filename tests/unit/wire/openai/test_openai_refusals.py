"""Knows which chat requests are refused, and at which path; it must not know how they are translated."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.anthropic.requests import check_messages_body
from pinnace.core.wire.openai.parameters import CARRIED_AS_IS, IGNORED, REFUSED, TRANSLATED
from pinnace.core.wire.openai.requests import parse_chat_request

HELLO = {"role": "user", "content": "Hello"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
CALL: dict[str, Any] = {"id": "a", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
ASKED: dict[str, Any] = {"role": "assistant", "content": "Hm", "tool_calls": [CALL]}
TOLD: dict[str, Any] = {"role": "tool", "tool_call_id": "a", "content": "seven"}
FORMAT: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
WHOLE: dict[str, Any] = {
    "model": "sonnet",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
                {"type": "file", "file": {"file_data": "JVBERi0xLjcK", "filename": "a.pdf"}},
            ],
        },
        ASKED,
        TOLD,
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "look_up"}},
    "parallel_tool_calls": False,
    "response_format": FORMAT,
    "stop": ["one"],
    "temperature": 0.5,
    "top_p": 0.5,
    "max_tokens": 100,
    "thinking": {"type": "disabled"},
    "reasoning_effort": "low",
    "stream": True,
    "stream_options": {"include_usage": True},
    "user": "u",
    "service_tier": "auto",
}
#: What carries over under its own name may be refused later, by that name.
LATER = {*CARRIED_AS_IS, "max_tokens"}

scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.sampled_from(
    sorted({"messages", "model", "stream", "stream_options", "tool_choice", "tools", *IGNORED, *REFUSED, *TRANSLATED})
)
NESTED = (
    "role content type text image_url url file file_data tool_calls function name id arguments tool_call_id refusal "
    "cache_control json_schema schema parameters required"
)
WORDS = (
    "user assistant tool system text image_url file refusal function data:image/png;base64, data: https://x {} [] "
    "json_schema none auto required object a"
)
nested_names = st.sampled_from(NESTED.split())
words = st.sampled_from([*WORDS.split(), " "])
json_values = st.recursive(
    scalars | words,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(nested_names | st.text(), children, max_size=4),
    max_leaves=20,
)


def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(orjson.dumps({"model": "sonnet", "messages": [HELLO], **fields}))
    return caught.value


def path_of(*messages: Any) -> str | None:
    return refusal(messages=messages).path


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A good request of which one value, at any place, is another."""
    root = orjson.loads(orjson.dumps(WHOLE))
    holder, key = root, draw(st.sampled_from(sorted(root)))
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 3)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder)) if isinstance(holder, dict) else st.integers(0, len(holder) - 1))
    holder[key] = draw(json_values)
    return root


def assert_served_or_refused_by_path(written: Any) -> None:
    try:
        request = parse_chat_request(orjson.dumps(written))
    except InvalidRequest:
        return
    assert later_refusal(request.body) in {None, *LATER}


def later_refusal(body: dict[str, Any]) -> str | None:
    """The field for which the translated request is refused; None when it is accepted."""
    try:
        check_messages_body(body)
    except InvalidRequest as error:
        return (error.path or error.message).split(".")[0]
    return None


@given(json_values)
def test_any_json_is_served_or_refused(written: Any) -> None:
    assert_served_or_refused_by_path(written)


@given(st.dictionaries(names, json_values), st.lists(json_values))
def test_any_fields_are_served_or_refused(fields: dict[str, Any], messages: list[Any]) -> None:
    assert_served_or_refused_by_path({"model": "sonnet", "messages": [HELLO, *messages], **fields})


@given(damaged())
def test_a_damaged_request_is_served_or_refused_in_the_callers_own_terms(written: Any) -> None:
    assert_served_or_refused_by_path(written)


def test_the_request_that_is_damaged_is_good() -> None:
    check_messages_body(parse_chat_request(orjson.dumps(WHOLE)).body)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"model": "\xff"}'])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(raw)
    assert caught.value.path is None


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_given_is_refused_by_name(name: str) -> None:
    error = refusal(**{name: {"an": "effect"}})
    assert (error.path, error.message) == (name, f"{name}: {REFUSED[name][1]}")


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("model", "", "model"),
        ("model", None, "model"),
        ("messages", None, "messages"),
        ("messages", [], "messages"),
        ("messages", "Hello", "messages"),
        ("unknown", 1, "unknown"),
        ("stream", "yes", "stream"),
        ("stream_options", [], "stream_options"),
        ("stream_options", {"include_usage": 1}, "stream_options.include_usage"),
        ("stream_options", {"include_obfuscation": True}, "stream_options.include_obfuscation"),
        ("stream_options", {"more": True}, "stream_options.more"),
        ("n", 2, "n"),
        ("n", True, "n"),
        ("logprobs", 0, "logprobs"),
        ("modalities", ["text", "audio"], "modalities"),
        ("store", True, "store"),
        ("verbosity", "low", "verbosity"),
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", 1.5, "max_tokens"),
        ("max_completion_tokens", True, "max_completion_tokens"),
        ("temperature", 2.1, "temperature"),
        ("temperature", True, "temperature"),
        ("stop", 1, "stop"),
        ("stop", " \n", "stop"),
        ("stop", ["a", ""], "stop.1"),
        ("user", 1, "user"),
        ("safety_identifier", [], "safety_identifier"),
        ("service_tier", "flex", "service_tier"),
        ("reasoning_effort", "huge", "reasoning_effort"),
        ("response_format", "json", "response_format"),
        ("response_format", {}, "response_format.type"),
        ("response_format", {"type": "grammar"}, "response_format.type"),
        ("response_format", {"type": "xml"}, "response_format.type"),
        ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
        ("response_format", {"type": "json_schema", "json_schema": {}}, "response_format.json_schema.schema"),
        ("tools", {}, "tools"),
        ("tools", [{"type": "custom", "custom": {}}], "tools.0.type"),
        ("tools", [{"type": "function"}], "tools.0.function"),
        ("tools", [TOOL, {"type": "function", "function": {"name": "a b"}}], "tools.1.function.name"),
        ("tools", [TOOL, TOOL], "tools.1.function.name"),
        ("tools", [{**TOOL, "cache_control": {"type": "x"}}], "tools.0.cache_control.type"),
        ("tools", [{"type": "function", "function": {"name": "a", "more": 1}}], "tools.0.function.more"),
        ("tools", [{"type": "function", "function": {"name": "a", "description": 1}}], "tools.0.function.description"),
        (
            "tools",
            [{"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}}],
            "tools.0.function.parameters.type",
        ),
        (
            "tools",
            [{"type": "function", "function": {"name": "a", "parameters": {"required": [1]}}}],
            "tools.0.function.parameters.required.0",
        ),
        ("tool_choice", "required", "tool_choice"),
        ("tool_choice", "any", "tool_choice"),
        ("tool_choice", {"type": "allowed_tools"}, "tool_choice"),
        ("tool_choice", {"type": "function", "function": {"name": "b"}}, "tool_choice.function.name"),
        ("parallel_tool_calls", "no", "parallel_tool_calls"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, path: str) -> None:
    assert refusal(**{field: value}).path == path


def test_two_limits_on_tokens_must_agree() -> None:
    assert refusal(max_tokens=1, max_completion_tokens=2).path == "max_tokens"


def test_no_thinking_and_thinking_exclude_each_other() -> None:
    assert refusal(reasoning_effort="none", thinking={"type": "adaptive"}).path == "reasoning_effort"


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (1, ""),
        ({}, ".type"),
        ({"type": "video"}, ".type"),
        ({"type": "refusal", "refusal": "no"}, ".type"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}}, ""),
        ({"type": "text"}, ".text"),
        ({"type": "text", "text": 1}, ".text"),
        ({"type": "text", "text": "a", "more": 1}, ".more"),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "2h"}}, ".cache_control.ttl"),
        ({"type": "image_url", "image_url": "https://x"}, ".image_url"),
        ({"type": "image_url", "image_url": {}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://x"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,x"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,é"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,aGVs"}}, ".image_url.url"),
        ({"type": "image_url", "image_url": {"url": "https://x", "detail": "more"}}, ".image_url.detail"),
        ({"type": "file", "file": {}}, ".file.file_data"),
        ({"type": "file", "file": {"file_id": 1}}, ".file.file_id"),
        ({"type": "file", "file": {"file_id": "file_1", "file_data": "JVBERi0="}}, ".file.file_data"),
        ({"type": "file", "file": {"file_data": "aGVsbG8="}}, ".file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,aGVsbG8="}}, ".file.file_data"),
    ],
)
def test_a_part_that_cannot_be_carried_is_named(part: Any, path: str) -> None:
    assert path_of(HELLO, {"role": "user", "content": [{"type": "text", "text": "a"}, part]}) == (
        f"messages.1.content.1{path}"
    )


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([1], "messages.0"),
        ([{"content": "a"}], "messages.0.role"),
        ([{"role": "function", "name": "f", "content": "a"}], "messages.0.role"),
        ([{"role": "system", "content": "a"}], "messages"),
        ([{"role": "system"}], "messages.0.content"),
        ([{"role": "user", "content": " "}], "messages.0.content"),
        ([{"role": "user", "content": 1}], "messages.0.content"),
        ([{**HELLO, "more": 1}], "messages.0.more"),
        ([HELLO, {"role": "assistant", "content": "a", "audio": {"id": "x"}}], "messages.1.audio"),
        ([HELLO, {"role": "assistant", "function_call": {"name": "f"}}], "messages.1.function_call"),
        ([HELLO, {"role": "assistant", "tool_calls": 1}], "messages.1.tool_calls"),
        ([HELLO, {"role": "assistant", "content": "A boat "}], "messages.1.content"),
        ([HELLO, ASKED], "messages.1.tool_calls"),
        ([HELLO, ASKED, HELLO, ASKED], "messages.1.tool_calls"),
        ([HELLO, ASKED, TOLD, ASKED, TOLD], "messages.3.tool_calls.0.id"),
        ([HELLO, ASKED, TOLD, TOLD], "messages.3.tool_call_id"),
        ([HELLO, TOLD], "messages.1.tool_call_id"),
        ([HELLO, ASKED, {"role": "tool", "content": "seven"}], "messages.2.tool_call_id"),
    ],
)
def test_a_message_that_cannot_be_carried_is_named(messages: list[Any], path: str) -> None:
    assert path_of(*messages) == path


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ({**CALL, "type": "custom"}, "type"),
        ({**CALL, "id": ""}, "id"),
        ({**CALL, "more": 1}, "more"),
        ({"id": "a"}, "function"),
        ({**CALL, "function": {"arguments": "{}"}}, "function.name"),
        ({**CALL, "function": {"name": "f", "arguments": {}}}, "function.arguments"),
        ({**CALL, "function": {"name": "f", "arguments": "{"}}, "function.arguments"),
        ({**CALL, "function": {"name": "f", "arguments": "[]"}}, "function.arguments"),
        ({**CALL, "function": {"name": "f", "arguments": '{"n": 9007199254740993}'}}, "function.arguments"),
    ],
)
def test_a_call_that_cannot_be_carried_is_named(call: Any, path: str) -> None:
    assert path_of(HELLO, {"role": "assistant", "tool_calls": [call]}, TOLD) == f"messages.1.tool_calls.0.{path}"


def test_arguments_that_are_no_json_are_refused_with_the_place() -> None:
    bad = {**CALL, "function": {"name": "f", "arguments": '{"a": }'}}
    message = refusal(messages=[HELLO, {"role": "assistant", "tool_calls": [bad]}]).message
    assert message.startswith("messages.1.tool_calls.0.function.arguments: ")
    assert "(line 1, column 7)" in message
