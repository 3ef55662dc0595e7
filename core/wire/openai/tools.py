"""Knows how functions that a model may call become Anthropic's tools, and the choice among them; it must not know their calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.openai.content import read_cache_control
from pinnace.core.wire.openai.fields import read_flag, read_list, read_object, read_string, refuse_others, require

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}


def read_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate `tools`, `tool_choice` and `parallel_tool_calls`.

    Returns:
        Anthropic's `tools` and `tool_choice`, as far as they are needed.

    Raises:
        InvalidRequest: One of them is wrong, or cannot be carried.
    """
    given = [] if body.get("tools") is None else read_list(body["tools"], "tools")
    tools = [_read_tool(tool, f"tools.{index}") for index, tool in enumerate(given)]
    _check_names(tools)
    choice = _read_choice(body.get("tool_choice"), tools)
    single = body.get("parallel_tool_calls") is not None and not read_flag(
        body["parallel_tool_calls"], "parallel_tool_calls"
    )
    if not tools:
        return {}
    if single and choice != {"type": "none"}:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {"tools": tools} | ({"tool_choice": choice} if choice else {})


def _read_tool(value: Any, path: str) -> dict[str, Any]:
    tool = read_object(value, path)
    if require(tool, "type", path) != "function":
        raise InvalidRequest("Only tools of type 'function' are supported", path=f"{path}.type")
    refuse_others(tool, ("type", "function", "cache_control"), path)
    path = f"{path}.function"
    function = read_object(require(tool, "function", path.removesuffix(".function")), path)
    refuse_others(function, ("name", "description", "parameters", "strict"), path)
    translated: dict[str, Any] = {"name": _read_name(function, path)}
    if function.get("description") is not None:
        if not isinstance(function["description"], str):
            raise InvalidRequest("Input should be a string", path=f"{path}.description")
        translated["description"] = function["description"]
    translated["input_schema"] = _read_schema(function.get("parameters"), f"{path}.parameters")
    if read_flag(function.get("strict"), f"{path}.strict"):
        translated["strict"] = True
    if tool.get("cache_control") is not None:
        place = f"{path.removesuffix('.function')}.cache_control"
        translated["cache_control"] = read_cache_control(tool["cache_control"], place)
    return translated


def _read_name(function: Mapping[str, Any], path: str) -> str:
    name = read_string(require(function, "name", path), f"{path}.name")
    if not _NAME.fullmatch(name):
        raise InvalidRequest("Input should be 1 to 128 of a-z, A-Z, 0-9, '_' and '-'", path=f"{path}.name")
    return name


def _read_schema(value: Any, path: str) -> dict[str, Any]:
    if value is None:
        return {"type": "object", "properties": {}}
    schema = read_object(value, path)
    if schema.get("type", "object") != "object":
        raise InvalidRequest("Input should be 'object'", path=f"{path}.type")
    if schema.get("properties") is not None:
        read_object(schema["properties"], f"{path}.properties")
    if schema.get("required") is not None:
        for index, name in enumerate(read_list(schema["required"], f"{path}.required")):
            if not isinstance(name, str):
                raise InvalidRequest("Input should be a string", path=f"{path}.required.{index}")
    return {"type": "object", **schema}


def _check_names(tools: list[dict[str, Any]]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool["name"] in names:
            raise InvalidRequest("Names of tools must be unique", path=f"tools.{index}.function.name")
        names.add(tool["name"])


def _read_choice(choice: Any, tools: list[dict[str, Any]]) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _CHOICES:
        if choice == "required" and not tools:
            raise InvalidRequest("A call can only be required where there are `tools`", path="tool_choice")
        return {"type": _CHOICES[choice]}
    if not isinstance(choice, dict) or choice.get("type") != "function":
        raise InvalidRequest("Input should be 'auto', 'none', 'required' or a function", path="tool_choice")
    refuse_others(choice, ("type", "function"), "tool_choice")
    function = read_object(require(choice, "function", "tool_choice"), "tool_choice.function")
    refuse_others(function, ("name",), "tool_choice.function")
    name = read_string(require(function, "name", "tool_choice.function"), "tool_choice.function.name")
    if all(tool["name"] != name for tool in tools):
        raise InvalidRequest(f"There is no function '{name}' in `tools`", path="tool_choice.function.name")
    return {"type": "tool", "name": name}
