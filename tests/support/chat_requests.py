"""Knows how a chat request is translated as the server does it, and that the result is a request for a message."""

from __future__ import annotations

from typing import Any

import orjson

from pinnace.core.wire.anthropic.requests import check_messages_body
from pinnace.core.wire.openai.requests import ChatRequest, parse_chat_request

HELLO = {"role": "user", "content": "Hello"}


def parsed(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    written = {"model": "sonnet", "messages": list(messages) or [HELLO], **fields}
    request = parse_chat_request(orjson.dumps(written))
    check_messages_body(request.body)
    return request


def translated(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return parsed(*messages, **fields).body
