"""Knows that LangChain's own standard tests cannot tell `ChatAnthropic` on this server from the one on the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from operator import add
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from served import BOUND, MODEL, Served, serving
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinnace.testing.script import turn_for
from pinnace.testing.upstream import Upstream

# Not by `import`, because the environment that types are checked in does without these packages.
langchain_anthropic: Any = import_module("langchain_anthropic")
standard: Any = import_module("langchain_tests.integration_tests")

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
PAPER = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>"
)
CACHED = {"cache_creation_input_tokens": 20, "cache_read_input_tokens": 30}

# What the model says of each argument that a schema of the standard tests asks for.
ARGUMENTS: dict[str, Any] = {
    "a": 3,
    "answer_style": "pirate",
    "b": 4,
    "customer_name": "你好啊集团, こんにちは株式会社",
    "description": "A technology company",
    "fav_color": "purple",
    "input": 3,
    "location": "San Francisco, CA",
    "punchline": "They prefer the mouse.",
    "setup": "Why do cats not use the keyboard?",
}


def filled(schema: dict[str, Any]) -> str:
    return json.dumps({name: ARGUMENTS[name] for name in schema.get("properties", {})}, ensure_ascii=False)


def script_for(body: dict[str, Any]) -> str:
    """What a model would do: use the tool that is forced or first, tell what a tool said, or fill in the schema."""
    last = body["messages"][-1]["content"]
    form = (body.get("output_config") or {}).get("format")
    tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools", [])}
    if any(block["type"] == "tool_result" for block in last if isinstance(block, dict)):
        return "::text That is what the tool says."
    if form:
        return f"::text {json.dumps(filled(form['schema']))}"
    if tools:
        name = (body.get("tool_choice") or {}).get("name") or next(iter(tools))
        return f"::tool {name} {filled(tools[name])}"
    return "::text Hello, it is a fine day."


class Scripts:
    """Writes a script into each request that has none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/v1/messages":
            await self.app(scope, receive, send)
            return
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        body = json.loads(raw)
        if turn_for(body["messages"]) is None:
            body["messages"].append({"role": "user", "content": script_for(body)})
        pending: list[Message] = [{"type": "http.request", "body": json.dumps(body).encode()}]

        async def scripted() -> Message:
            return pending.pop() if pending else await receive()

        await self.app(scope, scripted, send)


class Model(Upstream):
    """The scripted endpoint in the place of a model that understands the prompts of the standard tests."""

    def app(self) -> Starlette:
        app = super().app()
        app.add_middleware(Scripts)
        return app


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Model() as upstream, serving(tmp_path_factory.mktemp("server"), upstream) as started:
        yield started


@pytest.fixture(autouse=True)
def _from_here(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the tests the server, and instead of the web a picture and a paper."""

    def get(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=PAPER if url.endswith(".pdf") else PIXEL)

    monkeypatch.setattr(httpx, "get", get)
    TestChatAnthropic.url = f"{served.url}/api"


class TestChatAnthropic(standard.ChatModelIntegrationTests):  # type: ignore[misc]  # the package has no types
    url = ""
    chat_model_class = langchain_anthropic.ChatAnthropic
    model_override_value = MODEL
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    enable_vcr_tests = True
    supported_usage_metadata_details = {  # noqa: RUF012 - the base class declares it so
        "invoke": ["cache_creation_input", "cache_read_input"],
        "stream": ["cache_creation_input", "cache_read_input"],
    }

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "claude-haiku-4-5", "base_url": self.url, "api_key": "any", "timeout": BOUND, "max_retries": 0}

    @pytest.fixture
    def vcr(self) -> SimpleNamespace:
        """No cassette, since the server itself is at hand."""
        return SimpleNamespace(responses=True)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> Any:
        return self.cached(stream=stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> Any:
        return self.cached(stream=stream)

    def cached(self, *, stream: bool) -> Any:
        model = self.chat_model_class(**self.chat_model_params)
        text = f"::usage {json.dumps(CACHED)}\n::text hello"
        block = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
        asked = [{"role": "user", "content": [block]}]
        message = reduce(add, model.stream(asked)) if stream else model.invoke(asked)
        details = message.usage_metadata["input_token_details"]
        assert (details["cache_creation"], details["cache_read"]) == (20, 30)
        return message
