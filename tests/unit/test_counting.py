"""Knows how tokens are counted: by the upstream where it can be asked, by an estimate elsewhere, and how it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from pinnace.core.adapters.anthropic.counting import (
    TOKENS_AN_IMAGE,
    EstimatingTokenCounter,
    UpstreamTokenCounter,
    estimate,
)
from pinnace.core.errors import Misconfigured, UpstreamFailed
from pinnace.testing.answer import estimate_tokens
from pinnace.testing.upstream import Upstream

BODY: dict[str, Any] = {
    "model": "claude-x",
    "system": "Be brief",
    "messages": [{"role": "user", "content": "Ahoy " * 99}],
}


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """An endpoint that gives one answer to everything."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_the_upstream_counts_exactly() -> None:
    with Upstream() as upstream:
        counted = await UpstreamTokenCounter(upstream.url + "/", {"x-api-key": "k"}).count(BODY, ("a-1", "b-2"))
    assert counted == (estimate_tokens(BODY), True)
    (asked,) = upstream.requests
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/messages/count_tokens", BODY)
    assert asked.headers["x-api-key"] == "k"
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.headers["anthropic-beta"] == "a-1,b-2"


async def test_no_beta_is_no_header() -> None:
    with Upstream() as upstream:
        await UpstreamTokenCounter(upstream.url, {}).count(BODY, ())
    assert "anthropic-beta" not in upstream.requests[0].headers


async def test_an_upstream_that_is_not_there_is_estimated() -> None:
    with Upstream() as upstream:
        url = upstream.url
    assert await UpstreamTokenCounter(url, {}).count(BODY, ()) == (estimate(BODY), False)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
    ],
)
async def test_a_refusal_of_the_upstream_keeps_its_status_type_and_words(status: int, kind: str) -> None:
    refusal = {"type": "error", "error": {"type": kind, "message": "messages: too many"}}
    with answering(status, orjson.dumps(refusal)) as url, pytest.raises(UpstreamFailed) as caught:
        await UpstreamTokenCounter(url, {}).count(BODY, ())
    assert (caught.value.status, caught.value.kind, str(caught.value)) == (status, kind, "messages: too many")


@pytest.mark.parametrize("status", [429, 529])
@pytest.mark.parametrize(
    ("told", "seconds"),
    [({"retry_after": "7"}, 7.0), ({"retry_after": "0.5"}, 0.5), ({}, None)]
    + [({"retry_after": text}, None) for text in ("soon", "inf", "nan", "-1", "")],
    ids=["whole", "part", "none", "word", "infinite", "no number", "negative", "empty"],
)
async def test_a_refusal_of_the_upstream_keeps_when_to_come_back(
    status: int, told: dict[str, str], seconds: float | None
) -> None:
    refusal = orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})
    with answering(status, refusal, **told) as url, pytest.raises(UpstreamFailed) as caught:
        await UpstreamTokenCounter(url, {}).count(BODY, ())
    assert (caught.value.status, caught.value.retry_after) == (status, seconds)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:65536",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:http",
        "http://[::1",
        "http://xn--",
        "api.anthropic.com",
        "ftp://127.0.0.1",
    ],
)
async def test_a_base_url_that_is_no_address_is_named(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"https://api\.anthropic\.com") as caught:
        await UpstreamTokenCounter(url, {}).count(BODY, ())
    assert caught.value.key == "ANTHROPIC_BASE_URL"


async def test_a_header_beyond_ascii_is_for_the_upstream_to_judge() -> None:
    with Upstream() as upstream:
        assert (await UpstreamTokenCounter(upstream.url, {"x-api-key": "kü"}).count(BODY, ("bü",)))[1]
    (asked,) = upstream.requests
    assert [asked.headers[name].encode("latin-1") for name in ("x-api-key", "anthropic-beta")] == [
        "kü".encode(),
        "bü".encode(),
    ]


async def test_the_scripted_upstream_refuses_a_path_that_it_does_not_have() -> None:
    with Upstream() as upstream, pytest.raises(UpstreamFailed) as caught:
        await UpstreamTokenCounter(upstream.url + "/nowhere", {}).count(BODY, ())
    assert (caught.value.status, caught.value.kind) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad Gateway</html>"),
        (404, b""),
        (500, b"[]"),
        (500, b'{"error": "no"}'),
        (200, b"ok"),
        (200, b"{}"),
        (200, b'{"input_tokens": null}'),
        (200, b'{"input_tokens": Infinity}'),
        (200, b"\xff"),
    ],
)
async def test_an_answer_that_is_not_the_apis_is_estimated(status: int, body: bytes) -> None:
    with answering(status, body) as url:
        assert await UpstreamTokenCounter(url, {}).count(BODY, ()) == (estimate(BODY), False)


async def test_without_an_upstream_there_is_an_estimate() -> None:
    assert await EstimatingTokenCounter().count(BODY, ("a-1",)) == (estimate(BODY), False)


def test_an_estimate_is_a_quarter_of_the_characters_that_the_model_reads() -> None:
    text = {"messages": [{"content": "x" * 4000}]}
    assert estimate(text) == (4000 + len("content")) // 4
    assert estimate(text | {"model": "x" * 4000, "metadata": {"user_id": "x" * 4000}}) == estimate(text)


@pytest.mark.parametrize("name", ["system", "messages", "tools"])
def test_each_part_that_the_model_reads_counts(name: str) -> None:
    assert estimate(BODY | {name: [{"text": "x" * 9000}]}) > 2000


def test_an_image_counts_the_same_however_many_bytes_it_has() -> None:
    def with_image(data: str) -> dict[str, Any]:
        source = {"type": "base64", "media_type": "image/png", "data": data}
        return {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}

    assert estimate(with_image("x")) == estimate(with_image("x" * 100_000)) >= TOKENS_AN_IMAGE


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"system": None, "messages": [], "tools": None}])
def test_nothing_is_one_token(body: dict[str, Any]) -> None:
    assert estimate(body) == 1
