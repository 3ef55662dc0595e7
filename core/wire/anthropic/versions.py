"""Knows what `anthropic-version: 2026-10-21` took away (doc); it must not know who asks for strictness, or why."""

from __future__ import annotations

from typing import Any, Final

from pinnace.core.errors import InvalidRequest

FIRST: Final = "2023-06-01"
REDUCED: Final = "2026-10-21"
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def check_removed(body: dict[str, Any], version: str) -> None:
    """Refuse what the version no longer has.

    Args:
        body: A validated request.
        version: The date that the caller sent; dates compare as strings.

    Raises:
        InvalidRequest: It uses a sampling parameter, a document in an assistant message, or citations on a user's text.
    """
    if version < REDUCED:
        return
    for name in _SAMPLING:
        if body.get(name) is not None:
            raise InvalidRequest(f"`{name}` is not supported by anthropic-version {version}", path=name)
    for index, message in enumerate(body["messages"]):
        content = message.get("content")
        if isinstance(content, list):
            _check_blocks(message["role"], content, f"messages.{index}.content", version)


def _check_blocks(role: str, content: list[dict[str, Any]], place: str, version: str) -> None:
    for index, block in enumerate(content):
        if role == "assistant" and block["type"] == "document":
            raise InvalidRequest(
                f"`document` blocks are not supported in assistant messages by anthropic-version {version}",
                path=f"{place}.{index}",
            )
        if role == "user" and block["type"] == "text" and block.get("citations") is not None:
            raise InvalidRequest(
                f"`citations` are not supported on text in user messages by anthropic-version {version}",
                path=f"{place}.{index}.citations",
            )
