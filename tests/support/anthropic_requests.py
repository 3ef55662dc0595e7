"""Knows the parts of a request for a message, as a client writes them."""

from __future__ import annotations

from typing import Any

TOOL = {
    "name": "look_up",
    "input_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}


def call(*ids: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": i, "name": "look_up", "input": {}} for i in ids],
    }


def result(*ids: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i} for i in ids]}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content) if content else "Hello"}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"model": "m", "max_tokens": 4096, "messages": list(messages) or [user()], **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": source}
