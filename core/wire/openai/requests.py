"""Knows how a request for a chat completion becomes one for a message; it must not know how either is answered.

What cannot be carried is refused by its name, never dropped: `parameters` has the few hints that are ignored. Paths in
errors are the caller's own. What carries over under its own name is judged later, by `wire.anthropic.requests`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.openai.conversation import Conversation
from pinnace.core.wire.openai.fields import read_list, read_string, refuse_others, require
from pinnace.core.wire.openai.parameters import (
    CARRIED_AS_IS,
    IGNORED,
    REFUSED,
    TRANSLATED,
    check_refused,
    read_parameters,
    read_stream,
    wants_any_json,
)
from pinnace.core.wire.openai.tools import read_tools

#: What `json_object` amounts to.
JSON_ONLY: Final = "Answer with one JSON object and nothing else: no words around it, and no code fence."
#: Every field that may come with a value.
KNOWN: Final = frozenset(
    {
        "messages",
        "model",
        "parallel_tool_calls",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
        *CARRIED_AS_IS,
        *IGNORED,
        *REFUSED,
        *TRANSLATED,
    }
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request for a chat completion; `body` is the request for a message that it amounts to."""

    model: str
    stream: bool
    include_usage: bool
    body: dict[str, Any]


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Parse the body of POST /v1/chat/completions.

    Args:
        raw: The bytes as they came.

    Returns:
        The request; its `body` has the shape of Anthropic's, but for what carries over under its own name.

    Raises:
        InvalidRequest: `path` names the first field that is wrong or cannot be carried, in the caller's terms.
    """
    given = parse_object(raw)
    model = read_string(require(given, "model", ""), "model")
    refuse_others(given, KNOWN, "")
    check_refused(given)
    stream, include_usage = read_stream(given)
    conversation = Conversation()
    for index, message in enumerate(read_list(require(given, "messages", ""), "messages")):
        conversation.add(message, f"messages.{index}")
    body: dict[str, Any] = {"model": model, **read_parameters(given), "stream": stream}
    system = conversation.system()
    if wants_any_json(given):
        system = _with_instruction(system)
    if system:
        body["system"] = system
    return ChatRequest(model, stream, include_usage, {**body, **read_tools(given), "messages": conversation.messages()})


def _with_instruction(system: str | list[dict[str, Any]] | None) -> str | list[dict[str, Any]]:
    if isinstance(system, list):
        return [*system, {"type": "text", "text": JSON_ONLY}]
    return f"{system}\n{JSON_ONLY}" if system else JSON_ONLY
