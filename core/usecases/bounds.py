"""Knows the most tokens that a request can use before it is sent, from its body alone; it must not know a price.

A token stands for at least one byte of text, so the bytes are a bound that no tokenizer exceeds; an estimate would be near,
and would let budgets be overspent by what it was off. What is not text is bounded by what the API makes of it at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pinnace.core.ports import CacheLife

#: An image at the API's highest resolution is 4,784 tokens (Anthropic, "Vision").
IMAGE = 5_000
#: What surrounds a message or a block: roles, separators, the names of fields.
AROUND = 16
#: The API's own system prompt about tools, which it adds where a request has any; 600 tokens at most are published.
TOOLS = 1_000
#: Tools that the API runs by itself within a call; what else has a type of its own is run by the caller.
RUN_BY_THE_API = ("web_search", "web_fetch", "code_execution", "tool_search", "mcp_toolset")
#: Where `max_tokens` is missing; no model writes more.
OUTPUT = 128_000


@dataclass(frozen=True, slots=True)
class Bound:
    """At most so many tokens in and out; `cache` is the longest-lived cache that may be written to.

    `input` is None where nothing but the model's context window bounds it. With the model's own server tools it reads that
    `rounds` times, and makes at most `searches`; `rounds` is None where nothing bounds them.
    """

    input: int | None
    output: int
    cache: CacheLife | None
    rounds: int | None = 1
    searches: int = 0


class _Unbounded(Exception):
    """The body does not say how much there is to read."""


def bound_of(body: Mapping[str, Any]) -> Bound:
    """Bound one call with this body."""
    output = body.get("max_tokens") or OUTPUT
    written = orjson.dumps(body, default=str)
    cache: CacheLife | None = None
    if b'"cache_control"' in written:
        cache = "1h" if b'"ttl":"1h"' in written else "5m"
    rounds, searches = _rounds(body)
    if "messages" not in body or rounds != 1:
        return Bound(None, output, cache, rounds, searches)
    try:
        size = AROUND + _text(body.get("system")) + sum(_message(message) for message in body.get("messages") or ())
        size += _tools(body) + _json(body.get("output_config")) + _json(body.get("output_format"))
    except _Unbounded:
        return Bound(None, output, cache)
    return Bound(size, output, cache)


def _rounds(body: Mapping[str, Any]) -> tuple[int | None, int]:
    """How often the model reads its context within one call, and how often it may search the web."""
    if body.get("mcp_servers"):
        return None, 0
    rounds, searches = 1, 0
    for tool in body.get("tools") or ():
        if (kind := tool.get("type") or "custom").startswith(RUN_BY_THE_API):
            uses = tool.get("max_uses")
            if not isinstance(uses, int):
                return None, 0
            rounds += uses
            searches += uses if kind.startswith("web_search") else 0
    return rounds, searches


def _message(message: Mapping[str, Any]) -> int:
    return AROUND + _text(message.get("content"))


def _text(content: Any) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return AROUND + len(content.encode())
    return sum(_block(block) for block in content)


def _block(block: Mapping[str, Any]) -> int:
    kind = block.get("type")
    if kind == "text":
        return AROUND + len(str(block.get("text", "")).encode()) + _json(block.get("citations"))
    if kind == "image":
        return AROUND + IMAGE
    if kind == "document":
        return _document(block)
    if kind == "tool_result":
        return AROUND + len(str(block.get("tool_use_id", "")).encode()) + _text(block.get("content"))
    if kind in ("tool_use", "thinking", "redacted_thinking", "search_result"):
        return AROUND + _json(block)
    # What the server holds, or will come to hold: a file by its id, a container, results of its own tools.
    raise _Unbounded


def _document(block: Mapping[str, Any]) -> int:
    source = block.get("source") or {}
    if source.get("type") == "text":
        return AROUND + _json(block)
    if source.get("type") == "content":
        return AROUND + _text(source.get("content")) + _json(block.get("title")) + _json(block.get("context"))
    raise _Unbounded


def _tools(body: Mapping[str, Any]) -> int:
    tools: Sequence[Mapping[str, Any]] = body.get("tools") or ()
    if (
        body.get("mcp_servers")
        or body.get("container")
        or any(tool.get("type", "custom") != "custom" for tool in tools)
    ):
        raise _Unbounded
    return TOOLS + _json(tools) if tools else 0


def _json(value: Any) -> int:
    return 0 if value is None else len(orjson.dumps(value, default=str))
