"""Knows how OpenAI's list of messages becomes a system prompt and Anthropic's turns; it must not know single parts or tools.

Neighbours of one side become one message, as Anthropic reads them anyway. Within a user's turn the results of tools come
first, where Anthropic wants them. What `system` and `developer` say goes to the system prompt wherever it stands, in its
order, as in Anthropic's own compatibility layer: an instruction in the middle separates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.openai.content import Block, read_content
from pinnace.core.wire.openai.fields import read_list, read_object, read_string, refuse_others, require

_SYSTEM_PARTS: Final = frozenset({"text"})
_USER_PARTS: Final = frozenset({"file", "image_url", "text"})
_ASSISTANT_PARTS: Final = frozenset({"refusal", "text"})
# `name` is a hint about who speaks. The assistant's other extras are parts of earlier answers, of this server or
# another, that clients send back with the rest: thinking without its signature is nothing that the API would take.
_COMMON: Final = frozenset({"role", "content", "name"})
_ASSISTANT: Final = _COMMON | {
    "annotations", "parsed", "reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls",
}  # fmt: skip
_CALL: Final = frozenset({"id", "type", "index", "function"})
_FUNCTION: Final = frozenset({"name", "arguments", "parsed_arguments"})


@dataclass(slots=True)
class _Turn:
    """What one side says before the other does; `place` is its last message."""

    role: str
    place: str
    blocks: list[Block] = field(default_factory=list[Block])
    results: list[Block] = field(default_factory=list[Block])

    def message(self) -> dict[str, Any]:
        blocks = [*self.results, *self.blocks]
        plain = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
        return {"role": self.role, "content": blocks[0]["text"] if plain else blocks}


class Conversation:
    """Takes messages one after the other.

    `_calls` are those of the assistant's last turn that have no result yet, each with the path of its message.
    """

    def __init__(self) -> None:
        self._system: list[Block] = []
        self._turns: list[_Turn] = []
        self._calls: dict[str, str] = {}
        self._ids: set[str] = set()

    def add(self, value: Any, path: str) -> None:
        """Take the next message.

        Raises:
            InvalidRequest: It has a wrong shape, or may not stand here.
        """
        message = read_object(value, path)
        role = require(message, "role", path)
        if role in ("system", "developer"):
            refuse_others(message, _COMMON, path)
            self._system += read_content(require(message, "content", path), _SYSTEM_PARTS, f"{path}.content")
        elif role == "user":
            self._add_user(message, path)
        elif role == "assistant":
            self._add_assistant(message, path)
        elif role == "tool":
            self._add_result(message, path)
        else:
            raise InvalidRequest(
                "Input should be 'system', 'developer', 'user', 'assistant' or 'tool'"
                + ("; the old 'function' is not supported" if role == "function" else ""),
                path=f"{path}.role",
            )

    def system(self) -> str | list[Block] | None:
        """Give the system prompt; it is one text unless a part of it is marked for the cache."""
        if any(block.keys() != {"type", "text"} for block in self._system):
            return self._system
        return "\n".join(block["text"] for block in self._system) or None

    def messages(self) -> list[dict[str, Any]]:
        """Give the turns, once all messages are there.

        Raises:
            InvalidRequest: There is none, a call has no result, or the last turn ends in white space.
        """
        self._check_answered()
        if not self._turns:
            raise InvalidRequest("At least one message of a user is needed", path="messages")
        last = self._turns[-1]
        if last.role == "assistant" and last.blocks[-1].get("text", "")[-1:].isspace():
            raise InvalidRequest(
                "A last message of the assistant is continued, and may not end in white space",
                path=f"{last.place}.content",
            )
        return [turn.message() for turn in self._turns]

    def _add_user(self, message: dict[str, Any], path: str) -> None:
        refuse_others(message, _COMMON, path)
        blocks = read_content(require(message, "content", path), _USER_PARTS, f"{path}.content")
        if not blocks:
            raise InvalidRequest("A message of a user must not be empty", path=f"{path}.content")
        self._turn("user", path).blocks += blocks

    def _add_assistant(self, message: dict[str, Any], path: str) -> None:
        refuse_others(message, _ASSISTANT, path)
        blocks = read_content(message.get("content"), _ASSISTANT_PARTS, f"{path}.content")
        blocks += read_content(message.get("refusal"), _ASSISTANT_PARTS, f"{path}.refusal")
        calls = [] if message.get("tool_calls") is None else read_list(message["tool_calls"], f"{path}.tool_calls")
        read = [_read_call(call, f"{path}.tool_calls.{index}") for index, call in enumerate(calls)]
        if blocks or read:
            # An empty answer says nothing, and clients keep it in their history.
            self._turn("assistant", path).blocks += [*blocks, *read]
        for index, call in enumerate(read):
            if call["id"] in self._ids:
                raise InvalidRequest("Ids of tool calls must be unique", path=f"{path}.tool_calls.{index}.id")
            self._ids.add(call["id"])
            self._calls[call["id"]] = path

    def _add_result(self, message: dict[str, Any], path: str) -> None:
        refuse_others(message, _COMMON | {"tool_call_id"}, path)
        call = read_string(require(message, "tool_call_id", path), f"{path}.tool_call_id")
        content = read_content(message.get("content"), _USER_PARTS, f"{path}.content")
        if self._calls.pop(call, None) is None:
            raise InvalidRequest(
                "The assistant's last message before this one has no tool call with this id, or it has its result already",
                path=f"{path}.tool_call_id",
            )
        result: Block = {"type": "tool_result", "tool_use_id": call}
        self._turn("user", path).results.append(result | ({"content": content} if content else {}))

    def _turn(self, role: str, place: str) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            if role == "assistant":
                self._check_answered()
            self._turns.append(_Turn(role, place))
        self._turns[-1].place = place
        return self._turns[-1]

    def _check_answered(self) -> None:
        for call, path in self._calls.items():
            raise InvalidRequest(
                f"Every tool call must be followed by a message of role 'tool' with its id; '{call}' has none",
                path=f"{path}.tool_calls",
            )


def _read_call(value: Any, path: str) -> Block:
    call = read_object(value, path)
    if call.get("type") not in (None, "function"):
        raise InvalidRequest("Only calls of type 'function' are supported", path=f"{path}.type")
    refuse_others(call, _CALL, path)
    function = read_object(require(call, "function", path), f"{path}.function")
    refuse_others(function, _FUNCTION, f"{path}.function")
    return {
        "type": "tool_use",
        "id": read_string(require(call, "id", path), f"{path}.id"),
        "name": read_string(require(function, "name", f"{path}.function"), f"{path}.function.name"),
        "input": _read_arguments(function.get("arguments"), f"{path}.function.arguments"),
    }


def _read_arguments(arguments: Any, path: str) -> dict[str, Any]:
    if arguments is None or arguments == "":
        # So some models write a call without arguments.
        return {}
    if not isinstance(arguments, str):
        raise InvalidRequest("Input should be a string that holds a JSON object", path=path)
    try:
        return parse_object(arguments.encode())
    except InvalidRequest as error:
        within = f" (at {error.path})" if error.path else ""
        reason = error.message.removeprefix("The body ")
        raise InvalidRequest(f"The string should hold a JSON object{within}: {reason}", path=path) from None
