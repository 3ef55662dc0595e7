"""Knows that the app answers recorded events of API Gateway, with nothing that could only live under uvicorn."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from mangum import Mangum

from pinnace.core.sources import load
from pinnace.core.wiring import Ports, wire
from pinnace.handlers.hosts.asgi import compose
from pinnace.testing.upstream import Upstream

pytestmark = pytest.mark.e2e
#: Nothing here looks at what the runtime says of an invocation.
NO_CONTEXT: Any = None
KEY = "pn-right"
EVENTS = Path(__file__).parents[2] / "events"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as endpoint:
        yield endpoint


@pytest.fixture
def ports(upstream: Upstream, tmp_path: Path) -> Iterator[tuple[Mangum, Ports]]:
    environ = {"PATH": os.environ["PATH"], "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-test"}
    settings = load({"PINNACE_DATA_DIR": str(tmp_path), "PINNACE_AGENT__SPARES": "0", "PINNACE_API_KEY": KEY})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made = wire(settings, environ)
    yield Mangum(cast("Any", compose(settings, made)), lifespan="off"), made
    loop.run_until_complete(made.runner.aclose(5))
    loop.close()
    asyncio.set_event_loop(None)


def event(name: str, body: dict[str, Any], key: str | None = KEY) -> dict[str, Any]:
    recorded: dict[str, Any] = copy.deepcopy(json.loads((EVENTS / name).read_text()))
    for headers in ("headers", "multiValueHeaders"):
        recorded.get(headers, {}).pop("x-api-key", None)
    if key is not None:
        recorded["headers"]["x-api-key"] = key
        recorded.get("multiValueHeaders", {})["x-api-key"] = [key]
    text = json.dumps(body)
    recorded["body"] = base64.b64encode(text.encode()).decode() if recorded["isBase64Encoded"] else text
    return recorded


@pytest.mark.parametrize("name", ["http-api-v2-messages.json", "rest-api-v1-messages.json"])
def test_a_recorded_event_is_answered_and_the_next_one_by_the_same_process(
    ports: tuple[Mangum, Ports], upstream: Upstream, name: str
) -> None:
    host, made = ports
    for turn in range(2):
        said = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": f"::text ahoy {turn}"}]}
        answer = host(event(name, said), NO_CONTEXT)
        assert answer["statusCode"] == 200, answer
        assert json.loads(answer["body"])["content"][0]["text"] == f"ahoy {turn}"
    assert len(upstream.bodies) == 2
    assert made.runner.stats().started <= 2


def test_a_streamed_answer_is_whole_where_the_host_cannot_stream(ports: tuple[Mangum, Ports]) -> None:
    host, _ = ports
    said = {"model": "sonnet", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "::text a b"}]}
    answer = host(event("http-api-v2-messages.json", said), NO_CONTEXT)
    assert answer["headers"]["content-type"].startswith("text/event-stream")
    body = base64.b64decode(answer["body"]).decode() if answer["isBase64Encoded"] else answer["body"]
    assert body.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_a_bad_request_has_the_same_shape_here(ports: tuple[Mangum, Ports]) -> None:
    host, _ = ports
    answer = host(event("rest-api-v1-messages.json", {}), NO_CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["type"]) == (400, "invalid_request_error")


def test_a_request_without_the_key_is_refused(ports: tuple[Mangum, Ports]) -> None:
    host, _ = ports
    answer = host(event("rest-api-v1-messages.json", {}, key=None), NO_CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["type"]) == (401, "authentication_error")
