"""Knows what the messages of a chat request amount to as a request for one; it must not know how one is answered."""

from __future__ import annotations

from typing import Any

import pytest
from chat_requests import HELLO, parsed, translated

from pinnace.core.wire.openai.parameters import DEFAULT_MAX_TOKENS
from pinnace.core.wire.openai.requests import JSON_ONLY

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjcK"


def turns(*messages: dict[str, Any]) -> Any:
    return translated(*messages)["messages"]


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def asked(*ids: str, arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": "look_up", "arguments": arguments}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls, **fields}


def told(call: str, content: Any = "seven") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def result(call: str, *content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call} | ({"content": list(content)} if content else {})


def use(call: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": "look_up", "input": given}


def test_the_smallest_request_is_a_message_with_as_many_tokens_as_it_may_take() -> None:
    request = parsed()
    assert (request.model, request.stream, request.include_usage) == ("sonnet", False, False)
    assert request.body == {
        "model": "sonnet",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "stream": False,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_a_stream_says_whether_it_ends_with_usage() -> None:
    request = parsed(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    assert (request.stream, request.include_usage, request.body["stream"]) == (True, True, True)
    assert not parsed(stream=True, stream_options={}).include_usage


def test_instructions_go_to_the_system_prompt_in_their_order_wherever_they_stand() -> None:
    body = translated(
        {"role": "system", "content": "One"},
        HELLO,
        {"role": "developer", "content": [text("Two"), text("Three")], "name": "d"},
        {"role": "user", "content": "Again"},
        {"role": "system", "content": ""},
    )
    assert body["system"] == "One\nTwo\nThree"
    assert body["messages"] == [user(text("Hello"), text("Again"))]


def test_a_marked_system_prompt_keeps_its_parts() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = translated({"role": "system", "content": [text("One", cache_control=mark), text("Two")]}, HELLO)
    assert body["system"] == [text("One", cache_control=mark), text("Two")]


def test_json_of_any_form_is_asked_for_in_words() -> None:
    form = {"type": "json_object"}
    marked = {"role": "system", "content": [text("Be brief", cache_control={"type": "ephemeral"})]}
    assert translated(user(text("Ahoy")), response_format=form)["system"] == JSON_ONLY
    plain = {"role": "system", "content": "Be brief"}
    assert translated(plain, user(text("Ahoy")), response_format=form)["system"] == f"Be brief\n{JSON_ONLY}"
    assert translated(marked, user(text("Ahoy")), response_format=form)["system"][-1] == text(JSON_ONLY)


def test_images_and_files_become_blocks_in_their_place() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": f"data:IMAGE/JPG;charset=utf-8;base64,{PNG}"}},
        {
            "type": "image_url",
            "image_url": {"url": "https://example.com/a.png"},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": PDF}, "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "file", "file": {"file_id": "file_1", "filename": "b.pdf"}},
        text("What is this?"),
    ]
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert turns(user(*parts))[0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        {
            "type": "image",
            "source": {"type": "url", "url": "https://example.com/a.png"},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "document", "source": source, "title": "a.pdf"},
        {"type": "document", "source": source},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "title": "b.pdf"},
        text("What is this?"),
    ]


def test_a_tool_round_trip_becomes_calls_and_results() -> None:
    assert turns(
        HELLO,
        asked("call_1", "call_2", arguments='{"word": "pinnace"}', content="Let me see."),
        told("call_2"),
        told("call_1", [text("a"), text("b")]),
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "A boat."},
    ) == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [text("Let me see."), use("call_1", word="pinnace"), use("call_2", word="pinnace")],
        },
        user(result("call_2", text("seven")), result("call_1", text("a"), text("b")), text("Well?")),
        {"role": "assistant", "content": "A boat."},
    ]


def test_results_come_before_what_a_user_said_in_between() -> None:
    assert turns(HELLO, asked("a"), {"role": "user", "content": "Hurry"}, told("a"))[2] == user(
        result("a", text("seven")), text("Hurry")
    )


def test_a_result_may_be_empty_or_an_image() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    assert turns(HELLO, asked("a", "b"), told("a", ""), told("b", [image]))[2] == user(
        result("a"), result("b", {"type": "image", "source": source})
    )


@pytest.mark.parametrize("arguments", ["", "{}", None])
def test_a_call_without_arguments_has_empty_input(arguments: Any) -> None:
    assert turns(HELLO, asked("a", arguments=arguments), told("a"))[1]["content"] == [use("a")]


def test_an_answer_comes_back_as_the_sdk_and_other_servers_wrote_it() -> None:
    answer = {
        **asked("a"),
        "content": [text("Hm."), {"type": "refusal", "refusal": "Not that."}],
        "refusal": "No.",
        "annotations": [],
        "audio": None,
        "function_call": None,
        "parsed": None,
        "reasoning_content": "I wonder.",
        "name": "claude",
    }
    answer["tool_calls"][0] |= {"index": 0}
    answer["tool_calls"][0]["function"] |= {"parsed_arguments": None}
    assert turns(HELLO, answer, told("a"))[1]["content"] == [text("Hm."), text("Not that."), text("No."), use("a")]


def test_an_empty_answer_and_an_empty_part_are_left_out() -> None:
    assert turns(HELLO, {"role": "assistant", "content": ""}, user(text(" \n"), text("Again"))) == [
        user(text("Hello"), text("Again"))
    ]


def test_a_last_message_of_the_assistant_is_a_prefill() -> None:
    assert turns(HELLO, {"role": "assistant", "content": "A pinnace is"})[-1] == {
        "role": "assistant",
        "content": "A pinnace is",
    }
