"""Knows that the official Python client cannot tell, with its own strict validation of every answer switched on."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from anthropic.types import Message
from served import MODEL, Served


@pytest.fixture
def client(served: Served) -> anthropic.Anthropic:
    return served.client(_strict_response_validation=True)


def ask(client: anthropic.Anthropic, content: str, **fields: Any) -> Message:
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": content}]
    message: Message = client.messages.create(model=MODEL, max_tokens=100, messages=messages, **fields)
    return message


def test_a_message(client: anthropic.Anthropic) -> None:
    message = ask(client, "::thinking so\n::text Hello\n::tool t {}")
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]


def test_a_stream_with_its_helpers(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "::text a b c"}]
    ) as stream:
        assert list(stream.text_stream) == ["a", " b", " c"]
        assert stream.get_final_message().stop_reason == "end_turn"


async def test_the_async_client_streams_too(served: Served) -> None:
    client = anthropic.AsyncAnthropic(base_url=f"{served.url}/api", api_key="any", max_retries=0)
    async with client.messages.stream(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "::text a b"}]
    ) as stream:
        found = [text async for text in stream.text_stream]
    await client.close()
    assert found == ["a", " b"]


def test_the_tool_round_trip_of_a_stateless_client(client: anthropic.Anthropic) -> None:
    tool: anthropic.types.ToolParam = {"name": "add", "input_schema": {"type": "object"}}
    asked: list[anthropic.types.MessageParam] = [
        {"role": "user", "content": 'x\n::tool add {"a":1}\n::tool add {"a":2}\n::turn\n::text 3'}
    ]
    first = client.messages.create(model=MODEL, max_tokens=9, messages=asked, tools=[tool])
    results: list[anthropic.types.ToolResultBlockParam] = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
        for block in first.content
        if block.type == "tool_use"
    ]
    turns: list[Any] = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(model=MODEL, max_tokens=9, messages=turns, tools=[tool])
    assert len(results) == 2
    assert second.content[0].type == "text"


def test_the_tool_runner_works_although_there_are_no_threads(served: Served) -> None:
    @beta_tool
    def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    runner = served.client().beta.messages.tool_runner(
        model=MODEL,
        max_tokens=100,
        tools=[add],
        messages=[{"role": "user", "content": 'Sum?\n::tool add {"a": 2, "b": 3}\n::turn\n::text five'}],
    )
    last = runner.until_done()
    assert last.content[-1].type == "text"
    (result,) = served.upstream.bodies[-1]["messages"][-1]["content"]
    assert "5" in str(result["content"])


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("::error 400", anthropic.BadRequestError),
        ("::error 401", anthropic.AuthenticationError),
        ("::error 403", anthropic.PermissionDeniedError),
        ("::error 404", anthropic.NotFoundError),
        ("::error 413", anthropic.RequestTooLargeError),
        ("::error 429", anthropic.RateLimitError),
        ("::error 500", anthropic.InternalServerError),
        ("::error 529", anthropic.OverloadedError),
    ],
)
def test_failures_are_the_clients_own_exceptions(
    client: anthropic.Anthropic, script: str, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        ask(client, script)
    assert caught.value.request_id == caught.value.response.headers["request-id"]


def test_a_failure_within_a_stream_is_raised(client: anthropic.Anthropic) -> None:
    asked: list[anthropic.types.MessageParam] = [
        {"role": "user", "content": "::text a\n::error 529 overloaded_error busy"}
    ]
    with (
        client.messages.stream(model=MODEL, max_tokens=9, messages=asked) as stream,
        pytest.raises(anthropic.APIStatusError, match="busy"),
    ):
        list(stream.text_stream)


def test_the_client_retries_by_itself_and_succeeds(served: Served) -> None:
    client = anthropic.Anthropic(base_url=f"{served.url}/api", api_key="any", max_retries=2)
    message = ask(client, "::times 1\n::error 529\n::text at last")
    assert message.content[0].type == "text"
    assert len(served.upstream.bodies) == 2


def test_counting_and_models(client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "x"}]).input_tokens > 0
    assert client.models.retrieve(MODEL).id == MODEL


def test_raw_headers(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "::text a"}]
    )
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-organization-id"]
