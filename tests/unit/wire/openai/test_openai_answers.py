"""Knows what OpenAI's clients read of an answer, whole and in chunks; it must not know where the events come from."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from pinnace.core.wire.anthropic.assemble import replay
from pinnace.core.wire.openai.answers import FINISH_REASONS, ChunkWriter, complete, completion_id
from pinnace.core.wire.openai.usage import render_usage

Event = dict[str, Any]

HEADING: dict[str, Any] = {"name": "chatcmpl-1", "model": "claude-x", "created": 1_700_000_000}
TEXT = {"type": "text", "text": "A light boat."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"word": "pinnace"}}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
STEP = {"type": "mcp_tool_use", "id": "s", "name": "Bash", "server_name": "claude_code", "input": {"command": "ls"}}
OUTCOME = {"type": "mcp_tool_result", "tool_use_id": "s", "is_error": False, "content": []}

inputs = st.dictionaries(st.text(), st.text() | st.integers(-9, 9) | st.none(), max_size=3)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text()}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.text(), "signature": st.text()}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": st.text()}),
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": st.text(min_size=1), "name": st.text(min_size=1), "input": inputs}
    ),
    st.sampled_from([STEP, OUTCOME, {**STEP, "type": "server_tool_use"}]),
)
counts = st.integers(0, 9999)
usages = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={
        "cache_read_input_tokens": st.none() | counts,
        "cache_creation_input_tokens": st.none() | counts,
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": counts}),
    },
)


def message(*content: dict[str, Any], stop_reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, **usage},
    }


def whole(told: dict[str, Any], cost_usd: float | None = None) -> dict[str, Any]:
    completion = complete(told, **HEADING, cost_usd=cost_usd)
    assert extras(ChatCompletion.model_validate(completion, strict=True)) <= {"reasoning_content", "cost_usd"}
    return completion


def answer(*content: dict[str, Any]) -> Any:
    return whole(message(*content))["choices"][0]["message"]


def written(events: list[Event], cost_usd: float | None = None, **how: Any) -> list[dict[str, Any]]:
    writer = ChunkWriter(**HEADING, **how)
    chunks = [chunk for event in events for chunk in writer.feed(event)] + writer.finish(cost_usd)
    for chunk in chunks:
        assert extras(ChatCompletionChunk.model_validate(chunk, strict=True)) <= {"reasoning_content", "cost_usd"}
    return chunks


def deltas(*content: dict[str, Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in written(list(replay(message(*content))))]


def extras(model: Any) -> set[str]:
    """The fields that OpenAI's own types do not name, at any depth."""
    found: set[str] = set()
    if isinstance(model, list):
        for item in model:
            found |= extras(item)
    elif hasattr(model, "model_fields_set"):
        found |= set(model.model_extra or ())
        for name in model.model_fields_set - found:
            found |= extras(getattr(model, name))
    return found


def added_up(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion that the SDK makes of chunks."""
    state = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return comparable(state.current_completion_snapshot.model_dump(mode="json", exclude_none=True, warnings=False))


def comparable(completion: dict[str, Any]) -> dict[str, Any]:
    """What chunks and a whole completion say alike; the SDK adds fields, and a chunk's content is never null."""
    (choice,) = completion["choices"]
    said = choice["message"]
    calls = said.get("tool_calls") or []
    return {
        **{name: completion[name] for name in ("id", "created", "model")},
        "finish_reason": choice["finish_reason"],
        "content": said.get("content") or None,
        "reasoning": said.get("reasoning_content"),
        "calls": [
            (call["id"], call["function"]["name"], orjson.loads(call["function"]["arguments"])) for call in calls
        ],
        "usage": completion["usage"],
    }


@st.composite
def cut(draw: st.DrawFn) -> tuple[dict[str, Any], list[Event]]:
    """A message, and its events cut anywhere, with pings between them."""
    content = draw(st.lists(blocks, max_size=5))
    told = {
        **message(stop_reason=draw(st.sampled_from(sorted(FINISH_REASONS)))),
        "content": content,
        "usage": draw(usages),
    }
    events: list[Event] = []
    fields = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
    for event in replay(told):
        events += [{"type": "ping"}] if draw(st.booleans()) else []
        name = fields.get(event.get("delta", {}).get("type"))
        if name is None:
            events.append(event)
            continue
        said = event["delta"][name]
        place = draw(st.integers(0, len(said)))
        events += [{**event, "delta": {**event["delta"], name: part}} for part in (said[:place], said[place:])]
    return told, events


@given(cut(), st.none() | st.floats(0, 9))
def test_chunks_add_up_to_the_whole_completion(told: tuple[dict[str, Any], list[Event]], cost: float | None) -> None:
    chunks = written(told[1], cost, include_usage=True)
    assert added_up(chunks) == comparable(whole(told[0], cost))


def test_a_message_becomes_a_completion() -> None:
    assert whole(message(TEXT), 0.25) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "claude-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A light boat.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "cost_usd": 0.25,
        },
    }


def test_calls_alone_have_no_content() -> None:
    assert answer(CALL) == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "look_up", "arguments": '{"word":"pinnace"}'}}
        ],
    }


def test_thinking_is_reasoning() -> None:
    said = answer(THINKING, TEXT)
    assert (said["reasoning_content"], said["content"]) == ("Hm.", "A light boat.")


def test_an_agents_steps_are_left_out_and_keep_texts_apart() -> None:
    said = answer(TEXT, STEP, OUTCOME, TEXT, TEXT)
    assert said == {
        "role": "assistant",
        "content": "A light boat.\n\nA light boat.A light boat.",
        "refusal": None,
    }
    assert "".join(delta.get("content", "") for delta in deltas(TEXT, STEP, OUTCOME, TEXT, TEXT)) == said["content"]


@pytest.mark.parametrize(("stop_reason", "finish_reason"), [*FINISH_REASONS.items(), (None, "stop"), ("new", "stop")])
def test_a_stop_reason_has_its_finish_reason(stop_reason: str | None, finish_reason: str) -> None:
    told = message(TEXT, stop_reason=stop_reason)
    assert whole(told)["choices"][0]["finish_reason"] == finish_reason
    assert written(list(replay(told)))[-1]["choices"][0]["finish_reason"] == finish_reason


def test_a_stream_of_text_opens_with_the_role_and_ends_with_the_reason() -> None:
    assert deltas(THINKING, TEXT) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm."},
        {"content": "A light boat."},
        {},
    ]


def test_a_streamed_call_opens_with_its_name_and_goes_on_with_its_arguments() -> None:
    second = {**CALL, "id": "toolu_2", "input": {}}
    opening = {"id": "toolu_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
    assert deltas(STEP, CALL, second)[1:-1] == [
        {"tool_calls": [{"index": 0, **opening}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"word":"pinnace"}'}}]},
        {"tool_calls": [{"index": 1, **opening, "id": "toolu_2"}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_a_block_that_starts_complete_is_written_whole() -> None:
    begun = [event for event in replay(message()) if event["type"] == "message_start"]
    starts = [{"type": "content_block_start", "index": i, "content_block": b} for i, b in enumerate([TEXT, CALL])]
    stop = {"type": "content_block_stop", "index": 1}
    chunks = [chunk["choices"][0]["delta"] for chunk in written([*begun, *starts, stop])]
    assert chunks[1] == {"content": "A light boat."}
    assert chunks[3]["tool_calls"][0]["function"]["arguments"] == '{"word":"pinnace"}'


def test_usage_is_a_last_chunk_only_where_it_was_asked_for() -> None:
    events = list(replay(message(TEXT)))
    silent, counted = written(events, 0.5), written(events, 0.5, include_usage=True)
    assert all("usage" not in chunk for chunk in silent)
    assert [chunk["usage"] for chunk in counted[:-1]] == [None] * len(silent)
    assert (counted[-1]["choices"], counted[-1]["usage"]["cost_usd"]) == ([], 0.5)
    assert counted[-1]["usage"]["total_tokens"] == 15


def test_an_answer_that_broke_off_has_neither_a_reason_nor_usage() -> None:
    events = [event for event in replay(message(TEXT)) if event["type"] != "message_stop"]
    chunks = written(events, include_usage=True)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * len(chunks)


def test_usage_counts_what_is_cached_as_part_of_the_prompt() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert render_usage(usage) == {
        "prompt_tokens": 240,
        "completion_tokens": 5,
        "total_tokens": 245,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def test_the_cost_is_the_one_that_is_given_or_else_the_one_that_the_run_told() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cost_usd": 0.5}
    assert render_usage(usage)["cost_usd"] == 0.5
    assert render_usage(usage, 0.0)["cost_usd"] == 0.0


def test_a_completion_is_named_after_its_request() -> None:
    assert completion_id("req_0123") == "chatcmpl-0123"
