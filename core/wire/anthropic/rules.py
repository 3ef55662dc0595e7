"""Knows the rules between fields of a request other than messages; it must not know the shape of a single field."""

from __future__ import annotations

from typing import Any

from pinnace.core.errors import InvalidRequest


def is_forced(tool_choice: dict[str, Any] | None) -> bool:
    """Tell whether the choice obliges the model to call a tool."""
    return tool_choice is not None and tool_choice["type"] in ("any", "tool")


def check_tools(tools: list[dict[str, Any]], tool_choice: dict[str, Any] | None) -> None:
    """Check the rules between tools, and between tools and the choice among them.

    Args:
        tools: Validated tools.
        tool_choice: A validated choice, or None.

    Raises:
        InvalidRequest: Two tools share a name, or the choice forces a tool that is not there.
    """
    names: set[str] = set()
    for index, tool in enumerate(tools):
        name = tool.get("name")
        if name is not None and name in names:
            raise InvalidRequest("Tool names must be unique", path=f"tools.{index}.name")
        if name is not None:
            names.add(name)
    if tool_choice is None or not is_forced(tool_choice):
        return
    if not tools:
        raise InvalidRequest("`tool_choice` may only force a tool while providing `tools`", path="tool_choice")
    # A toolset brings names that the request does not spell out.
    complete = all(tool.get("name") is not None for tool in tools)
    if tool_choice["type"] == "tool" and complete and tool_choice["name"] not in names:
        raise InvalidRequest(f"Tool '{tool_choice['name']}' not found in provided tools", path="tool_choice.name")


def check_thinking(body: dict[str, Any]) -> None:
    """Check thinking against the limit on tokens and against forced tools.

    Args:
        body: A validated request; one for counting has no `max_tokens` to check against.

    Raises:
        InvalidRequest: The budget is not below `max_tokens`, or a tool is forced while thinking is enabled.
    """
    thinking = body.get("thinking")
    if thinking is None or thinking["type"] != "enabled":
        return
    max_tokens = body.get("max_tokens")
    if isinstance(max_tokens, int) and thinking["budget_tokens"] >= max_tokens:
        raise InvalidRequest("`max_tokens` must be greater than `thinking.budget_tokens`", path="max_tokens")
    if is_forced(body.get("tool_choice")):
        raise InvalidRequest("Thinking may not be enabled when tool_choice forces tool use", path="thinking")


def check_thread(body: dict[str, Any]) -> None:
    """Refuse a conversation that the server should hold.

    Raises:
        InvalidRequest: With the details at which the SDKs send the whole history instead.
    """
    if body.get("thread") is not None:
        raise InvalidRequest(
            "This server holds no threads; send the whole conversation in `messages`",
            path="thread",
            details={"error_code": "thread_unsupported_request", "unsupported": []},
        )
