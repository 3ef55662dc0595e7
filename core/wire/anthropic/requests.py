"""Knows what a valid request to create or to count a message is; it must not know how one is answered.

The shapes only judge: `body` is the caller's own JSON, verbatim, and is never written again from a shape.
"""

from __future__ import annotations

from typing import Any

from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.anthropic.conversation import check_conversation
from pinnace.core.wire.anthropic.rules import check_thinking, check_thread, check_tools
from pinnace.core.wire.anthropic.versions import FIRST, check_removed
from pinnace.core.wire.anthropic.views import CountTokensRequest, MessagesRequest

__all__ = [
    "CountTokensRequest",
    "MessagesRequest",
    "check_messages_body",
    "parse_count_tokens_request",
    "parse_messages_request",
    "prepare",
    "request_schema",
]


def parse_messages_request(
    raw: bytes, *, strict: bool = False, versioned: str = FIRST, continued: bool = False
) -> MessagesRequest:
    """Parse the body of POST /v1/messages.

    Args:
        raw: The bytes as they came.
        strict: Refuse what `versioned` no longer has.
        versioned: The caller's `anthropic-version`.
        continued: It is the next turn of a session, so that its first message may hold results of tools.

    Returns:
        The request.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    return check_messages_body(parse_object(raw), strict=strict, versioned=versioned, continued=continued)


def check_messages_body(
    body: dict[str, Any], *, strict: bool = False, versioned: str = FIRST, continued: bool = False
) -> MessagesRequest:
    """Check a body that was parsed before, such as the `params` of one request of a batch.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    _check(body, counting=False, continued=continued)
    if strict:
        check_removed(body, versioned)
    return MessagesRequest(body)


def parse_count_tokens_request(raw: bytes) -> CountTokensRequest:
    """Parse the body of POST /v1/messages/count_tokens.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    body = parse_object(raw)
    _check(body, counting=True)
    return CountTokensRequest(body)


def request_schema(*, counting: bool = False, ref_template: str = "#/components/schemas/{model}") -> dict[str, Any]:
    """Give the JSON schema of a body, with its parts under `$defs`.

    Args:
        counting: Of a request to count instead of one to create.
        ref_template: Where the document will keep the parts.
    """
    from pinnace.core.wire.anthropic import shapes  # noqa: PLC0415 - see that module

    body = shapes.CountTokensParams if counting else shapes.MessagesParams
    return shapes.adapter_of(body).json_schema(ref_template=ref_template)


def prepare() -> None:
    """Build the validators now; otherwise the first request waits for them."""
    from pinnace.core.wire.anthropic import shapes  # noqa: PLC0415 - see that module

    shapes.adapter_of(shapes.MessagesParams)
    shapes.adapter_of(shapes.CountTokensParams)


def _check(body: dict[str, Any], *, counting: bool, continued: bool = False) -> None:
    from pinnace.core.wire.anthropic import shapes  # noqa: PLC0415 - see that module

    check_thread(body)
    shapes.judge(body, counting=counting)
    check_tools(body.get("tools") or [], body.get("tool_choice"))
    check_thinking(body)
    check_conversation(body["messages"], continued=continued)
