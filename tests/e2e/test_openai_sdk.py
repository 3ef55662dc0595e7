"""Knows that OpenAI's own client cannot tell: chat completions, whole and streamed, with tools, pictures and errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from served import BOUND, Served

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
WEIGH: Any = {
    "type": "function",
    "function": {
        "name": "weigh",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
    },
}


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/api/v1", api_key="any", max_retries=0, timeout=BOUND) as opened:
        yield opened


def ask(client: openai.OpenAI, content: Any, **fields: Any) -> Any:
    return client.chat.completions.create(model="sonnet", messages=[{"role": "user", "content": content}], **fields)


def test_a_completion_is_whole(client: openai.OpenAI) -> None:
    answer = ask(client, '::usage {"input_tokens": 100, "output_tokens": 20}\n::text Ahoy there', max_tokens=50)
    assert answer.choices[0].message.content == "Ahoy there"
    assert (answer.choices[0].finish_reason, answer.object, answer.model) == (
        "stop",
        "chat.completion",
        "claude-sonnet-5-5",
    )
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (100, 20, 120)
    assert answer.usage.cost_usd == pytest.approx(0.0004)


def test_a_stream_comes_in_the_models_own_deltas(client: openai.OpenAI) -> None:
    chunks = list(ask(client, "::text a b c", stream=True, stream_options={"include_usage": True}))
    assert [chunk.choices[0].delta.content for chunk in chunks[:-2]] == ["", "a", " b", " c"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].usage.cost_usd > 0


def test_without_being_asked_a_stream_says_nothing_of_usage(client: openai.OpenAI) -> None:
    assert all(chunk.usage is None and chunk.choices for chunk in ask(client, "::text a", stream=True))


def test_the_tool_round_trip(served: Served, client: openai.OpenAI) -> None:
    asked: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": '::tool weigh {"what": "tar"}\n::tool weigh {"what": "rum"}\n::turn\n::text 12 kg'},
    ]
    first = client.chat.completions.create(model="sonnet", messages=asked, tools=[WEIGH])
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    made: list[Any] = message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in made] == [{"what": "tar"}, {"what": "rum"}]
    results: list[Any] = [{"role": "tool", "tool_call_id": call.id, "content": "6"} for call in made]
    served.upstream.forget()
    said: Any = message.model_dump(exclude_none=True)
    again = client.chat.completions.create(model="sonnet", messages=[*asked, said, *results], tools=[WEIGH])
    assert again.choices[0].message.content == "12 kg"
    reached = served.upstream.bodies[-1]
    assert reached["system"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
    assert [turn["role"] for turn in reached["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in reached["messages"][2]["content"]] == ["tool_result", "tool_result"]


def test_a_streamed_tool_call_adds_up(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="sonnet", messages=[{"role": "user", "content": '::tool weigh {"what": "tar"}'}], tools=[WEIGH]
    ) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weigh", {"what": "tar"})


def test_a_picture_reaches_the_model(served: Served, client: openai.OpenAI) -> None:
    served.upstream.forget()
    data = base64.b64encode(PIXEL).decode()
    parts = [
        {"type": "text", "text": "What is it?\n::text A dot"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    assert ask(client, parts).choices[0].message.content == "A dot"
    source = served.upstream.bodies[-1]["messages"][0]["content"][1]["source"]
    assert source == {"type": "base64", "media_type": "image/png", "data": data}


def test_structured_output_reaches_the_model(served: Served, client: openai.OpenAI) -> None:
    served.upstream.forget()
    schema = {
        "type": "object",
        "properties": {"kg": {"type": "integer"}},
        "required": ["kg"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "weight", "schema": schema, "strict": True}}
    assert json.loads(ask(client, '::text "{\\"kg\\": 12}"', response_format=form).choices[0].message.content) == {
        "kg": 12
    }
    assert served.upstream.bodies[-1]["output_config"]["format"] == {"type": "json_schema", "schema": schema}


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("::error 429 rate_limit_error Slow", openai.RateLimitError),
        ("::error 400 invalid_request_error prompt is too long", openai.BadRequestError),
        ("::error 529 overloaded_error Busy", openai.InternalServerError),
    ],
)
def test_a_failure_of_the_model_is_the_clients_own_error(client: openai.OpenAI, script: str, kind: type) -> None:
    with pytest.raises(kind):
        ask(client, script)


def test_a_stream_that_breaks_is_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(ask(client, "::text a\n::error 529 overloaded_error Busy", stream=True))


@pytest.mark.parametrize(
    ("fields", "param"), [({"n": 2}, "n"), ({"logprobs": True}, "logprobs"), ({"temperature": 9}, "temperature")]
)
def test_what_cannot_be_had_is_refused_by_its_name(client: openai.OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "::text a", **fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/v1/chat/completions", "GET", 405), ("/v1/chat/none", "POST", 404)]
)
def test_the_paths_of_openai_fail_in_its_shape(served: Served, path: str, method: str, status: int) -> None:
    answer = served.http.request(method, served.url + path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_the_agent_answers_too(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/sdk/v1", api_key="any", max_retries=0, timeout=BOUND) as agent:
        script = 'Look.\n::tool Bash {"command": "cat cargo.txt"}\n::turn\n::text Tar.'
        answer = ask(agent, script)
    assert answer.choices[0].message.content == "Tar."
    assert answer.usage.cost_usd > 0
