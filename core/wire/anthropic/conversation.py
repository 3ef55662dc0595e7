"""Knows what must hold between the messages of a conversation; it must not know the shape of a single block.

Messages are valid one by one when they come here. Neighbours of one role count as one turn, and a `system` message
between them separates nothing. The wording is Anthropic's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pinnace.core.errors import InvalidRequest

_EMPTY: Final[tuple[Any, ...]] = ("", [])


@dataclass(slots=True)
class _Turn:
    """Neighbours of one role: the ids of their calls and results, each with the place where it stands."""

    role: str
    calls: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)


def check_conversation(messages: list[dict[str, Any]], *, continued: bool = False) -> None:
    """Check the rules between messages.

    Args:
        messages: Validated messages.
        continued: Something was said before them, which the first of them may answer.

    Raises:
        InvalidRequest: A message is empty, a call has no result, a result no call, an id comes twice, or the prefill
            ends in whitespace.
    """
    _check_contents(messages)
    seen: set[str] = set()
    previous = _Turn("user")
    for turn in _turns(messages, seen):
        _check_answered(previous, turn.results)
        if not continued:
            _check_asked(turn, previous.calls)
        previous, continued = turn, False
    _check_answered(previous, {})


def _check_contents(messages: list[dict[str, Any]]) -> None:
    last = len(messages) - 1
    for index, message in enumerate(messages):
        # A system turn may be empty: Claude Code itself sends one that only carries `output_config`.
        allowed = message["role"] == "system" or (index == last and message["role"] == "assistant")
        if message.get("content") in _EMPTY and not allowed:
            raise InvalidRequest(
                "all messages must have non-empty content except for the optional final assistant message",
                path=f"messages.{index}",
            )
    if _ends_in_space(messages[last]):
        raise InvalidRequest("final assistant content cannot end with trailing whitespace", path=f"messages.{last}")


def _ends_in_space(message: dict[str, Any]) -> bool:
    content = message.get("content")
    if message["role"] != "assistant" or not content:
        return False
    text = content if isinstance(content, str) else content[-1].get("text")
    return isinstance(text, str) and text[-1:].isspace()


def _turns(messages: list[dict[str, Any]], seen: set[str]) -> Iterator[_Turn]:
    turn: _Turn | None = None
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if turn is None or turn.role != message["role"]:
            if turn is not None:
                yield turn
            turn = _Turn(message["role"])
        if isinstance(message["content"], list):
            _collect(turn, index, message["content"], seen)
    if turn is not None:
        yield turn


def _collect(turn: _Turn, message: int, content: list[dict[str, Any]], seen: set[str]) -> None:
    for index, block in enumerate(content):
        kind = block["type"]
        if kind == "tool_use":
            _collect_call(turn, f"messages.{message}", f"messages.{message}.content.{index}", block["id"], seen)
        elif kind == "tool_result":
            _collect_result(turn, f"messages.{message}.content.{index}", block["tool_use_id"])


def _collect_call(turn: _Turn, message: str, block: str, call: str, seen: set[str]) -> None:
    if turn.role != "assistant":
        raise InvalidRequest("`tool_use` blocks can only be in `assistant` messages", path=block)
    if call in seen:
        raise InvalidRequest("`tool_use` ids must be unique", path=block)
    seen.add(call)
    turn.calls[call] = message


def _collect_result(turn: _Turn, block: str, call: str) -> None:
    if turn.role != "user":
        raise InvalidRequest("`tool_result` blocks can only be in `user` messages", path=block)
    if call in turn.results:
        raise InvalidRequest(
            f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call}", path=block
        )
    turn.results[call] = block


def _check_answered(asking: _Turn, results: dict[str, str]) -> None:
    if not asking.calls:
        return
    open_calls = [call for call in asking.calls if call not in results]
    if open_calls:
        raise InvalidRequest(
            "`tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(open_calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message.",
            path=asking.calls[open_calls[0]],
        )


def _check_asked(answering: _Turn, calls: dict[str, str]) -> None:
    for call, block in answering.results.items():
        if call not in calls:
            raise InvalidRequest(
                f"unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` block must have a "
                "corresponding `tool_use` block in the previous message.",
                path=block,
            )
