"""Knows what OpenAI's clients see of each error, before and within a stream; it must not know which part raises it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, OpenAI, Stream
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionChunk

from pinnace.core import errors as tree
from pinnace.core.wire.anthropic import errors as anthropic
from pinnace.core.wire.openai.errors import TABLE, render
from pinnace.core.wire.openai.sse import DONE, PING, encode, encode_error

CHUNK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None}],
}


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (tree.InvalidRequest("x"), 400, "invalid_request_error", None, None),
        (tree.InvalidRequest("x", path="a.b"), 400, "invalid_request_error", None, "a.b"),
        (tree.Unauthenticated("x"), 401, "invalid_request_error", "invalid_api_key", None),
        (tree.BillingRefused("x"), 402, "insufficient_quota", "insufficient_quota", None),
        (tree.PermissionRefused("x"), 403, "invalid_request_error", "permission_denied", None),
        (tree.NotFound("x"), 404, "invalid_request_error", "not_found", None),
        (tree.NotFound("model: x"), 404, "invalid_request_error", "model_not_found", "model"),
        (tree.UpstreamFailed("model: x", status=404), 404, "invalid_request_error", "model_not_found", "model"),
        (tree.MethodRefused("x", allowed=("GET",)), 405, "invalid_request_error", None, None),
        (tree.Conflicted("x"), 409, "invalid_request_error", "conflict", None),
        (tree.RequestTooLarge("x", limit=1), 413, "invalid_request_error", "request_too_large", None),
        (tree.RateLimited("x", retry_after=1), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (
            tree.UpstreamFailed("prompt is too long: 9 tokens > 8 maximum", status=400),
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "messages",
        ),
        (tree.UpstreamFailed("x", status=429), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (tree.UpstreamFailed("x", status=418, kind="teapot_error"), 418, "invalid_request_error", "teapot_error", None),
        (tree.UpstreamFailed("x", status=503, kind="nap_error"), 503, "server_error", "nap_error", None),
        (tree.UpstreamFailed("x", status=None), 500, "server_error", None, None),
        (tree.Overloaded("x", retry_after=1), 529, "server_error", "server_is_overloaded", None),
        (tree.RunTimedOut("x", seconds=1), 504, "server_error", "timeout", None),
        (tree.CliBroke("x"), 500, "server_error", None, None),
    ],
)
def test_an_error_has_its_status_type_code_and_param(
    error: tree.PinnaceError, status: int, kind: str, code: str | None, param: str | None
) -> None:
    rendered = render(error, "req_1")
    assert rendered.status == status
    assert rendered.body == {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


def test_an_error_keeps_the_headers_that_anthropics_clients_get() -> None:
    error = tree.RateLimited("x", retry_after=2.1)
    assert render(error, "r").headers == anthropic.render(error, "r").headers == {"retry-after": "3"}


def test_every_type_of_anthropics_is_in_the_table() -> None:
    assert {kind for _, kind in anthropic.TABLE.values()} == set(TABLE)


def test_of_a_foreign_exception_nothing_is_told() -> None:
    rendered = render(RuntimeError("/secret/path"), "r")
    assert (rendered.status, rendered.body["error"]["message"]) == (500, "Internal server error")


@given(st.text())
def test_a_chunk_is_one_line_of_data_for_every_reader(words: str) -> None:
    chunk = {**CHUNK, "choices": [{**CHUNK["choices"][0], "delta": {"content": words}}]}
    written = encode(chunk)
    line, *rest = written.decode().splitlines()
    assert rest == [""]
    assert orjson.loads(line.removeprefix("data: ")) == chunk


def read(*parts: bytes) -> Iterator[ChatCompletionChunk]:
    """The chunks that the SDK reads from these bytes."""
    with OpenAI(api_key="any") as client:
        response = httpx2.Response(200, content=b"".join(parts), request=httpx2.Request("POST", "http://x"))
        yield from Stream(cast_to=ChatCompletionChunk, response=response, client=client)


def test_the_sdk_reads_chunks_passes_pings_and_ends_where_the_stream_says() -> None:
    chunks = list(read(encode(CHUNK), PING, encode(CHUNK), DONE, encode(CHUNK)))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hi", "Hi"]


def test_a_ping_is_no_event() -> None:
    assert list(SSEDecoder().iter_bytes(iter([PING]))) == []


def test_the_sdk_raises_the_error_that_ends_a_stream() -> None:
    chunks = read(encode(CHUNK), encode_error(tree.Overloaded("Too busy", retry_after=1), "req_1"))
    assert next(chunks).id == "chatcmpl-1"
    with pytest.raises(APIError, match="Too busy") as caught:
        next(chunks)
    assert (caught.value.type, caught.value.code) == ("server_error", "server_is_overloaded")
