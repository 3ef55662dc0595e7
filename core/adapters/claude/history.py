"""Knows how a caller's conversation becomes the agent's history, and when two conversations are the same; sans-IO."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson

from pinnace.core.adapters.claude.spawn import TOOL_PREFIX
from pinnace.core.errors import InvalidRequest

Block = Mapping[str, Any]
#: Parameters of a call that the agent's own calls to the model take over as they are.
CARRIED = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
)
#: What the `agent` profile has no place for: Claude Code writes these parts of the request itself.
REFUSED = ("mcp_servers", "container", "context_management", "cache_control", "inference_geo", "speed", "output_format")


def check(body: Mapping[str, Any]) -> None:
    """Refuse what a run of the agent cannot carry, before anything is started.

    Raises:
        InvalidRequest: `path` names the field.
    """
    for name in REFUSED:
        if body.get(name) is not None:
            raise InvalidRequest(
                "not available with the agent profile; leave it out, or use the messages profile", path=name
            )
    for index, message in enumerate(body["messages"]):
        if message["role"] == "system":
            message_path = f"messages.{index}.role"
            raise InvalidRequest(
                "'system' in the middle is for the messages profile; use the system field", path=message_path
            )
    if body["messages"][-1]["role"] == "assistant":
        last = f"messages.{len(body['messages']) - 1}"
        raise InvalidRequest("the agent profile cannot continue a prefilled answer; end with a user turn", path=last)
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type", "custom") not in ("custom", None):
            raise InvalidRequest(
                "server tools are for the messages profile; the agent has Claude Code's own", path=f"tools.{index}.type"
            )
    choice = (body.get("tool_choice") or {}).get("type", "auto")
    if choice in ("any", "none"):
        raise InvalidRequest(
            f"{choice!r} would bind the agent's own tools too; use 'auto' or 'tool', or the messages profile",
            path="tool_choice.type",
        )


def parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the caller's body that goes into each of the agent's calls."""
    carried = {name: body[name] for name in CARRIED if body.get(name) is not None}
    choice = body.get("tool_choice")
    if choice and choice["type"] == "tool":
        carried["tool_choice"] = {**choice, "name": TOOL_PREFIX + choice["name"]}
    elif choice:
        carried["tool_choice"] = choice
    return carried


def system_text(system: str | Sequence[Block] | None) -> str:
    """The caller's system prompt as one text."""
    if system is None or isinstance(system, str):
        return system or ""
    return "\n\n".join(str(block["text"]) for block in system)


def turns(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Merge neighbours of one role and split an agent's earlier steps into the turns that they were.

    An assistant's content that came from here may hold `mcp_tool_use` and `mcp_tool_result` blocks: calls that Claude Code
    ran by itself. In its own history a result is a user's turn.
    """
    merged: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        for role, block in _placed(message):
            if merged and merged[-1][0] == role:
                merged[-1][1].append(block)
            else:
                merged.append((role, [block]))
    return [(role, _answered(role, blocks, merged[i + 1 : i + 2])) for i, (role, blocks) in enumerate(merged)]


def _placed(message: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    role = message["role"]
    for block in blocks_of(message["content"]):
        kind = block["type"]
        if kind == "mcp_tool_use":
            yield role, {"type": "tool_use", "id": block["id"], "name": block["name"], "input": block["input"]}
        elif kind == "mcp_tool_result":
            result = {"type": "tool_result", "tool_use_id": block["tool_use_id"], "content": block.get("content") or []}
            yield "user", result | ({"is_error": True} if block.get("is_error") else {})
        elif kind == "tool_use" and role == "assistant":
            yield role, {**block, "name": TOOL_PREFIX + block["name"]}
        else:
            yield role, block


def _answered(
    role: str, blocks: list[dict[str, Any]], after: Sequence[tuple[str, list[dict[str, Any]]]]
) -> list[dict[str, Any]]:
    """Leave out calls whose result is not in the next turn: the model's API refuses them."""
    if role != "assistant":
        return blocks
    results = {block.get("tool_use_id") for _, later in after for block in later}
    return [block for block in blocks if block["type"] != "tool_use" or block["id"] in results]


def blocks_of(content: str | Sequence[Block]) -> list[dict[str, Any]]:
    """Content as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else [dict(block) for block in content]


def new_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    """The index at which the caller's new turn begins: after the last message of the assistant."""
    index = len(messages)
    while index and messages[index - 1]["role"] != "assistant":
        index -= 1
    return index


def fingerprint(project: str, model: str, body: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> str:
    """A name for a conversation up to its last answer.

    What a client may change when it sends an answer back is left out of it: the form of the content, how many messages of
    one role it is in, cache marks, thinking, and the agent's own steps.
    """
    merged: list[tuple[str, str, list[dict[str, Any]]]] = []
    for role, messages in groupby(said, key=itemgetter("role")):
        parts = [_essence(block) for message in messages for block in blocks_of(message["content"])]
        words = "".join(part for part in parts if isinstance(part, str))
        merged.append((role, words, [part for part in parts if isinstance(part, dict)]))
    tools = [_unmarked(tool) for tool in body.get("tools") or ()]
    whole = [project, model, system_text(body.get("system")), tools, merged]
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _essence(block: Block) -> str | dict[str, Any] | None:
    kind = block["type"]
    if kind == "text":
        return str(block["text"])
    if kind == "tool_use":
        return {"call": block["id"]}
    if kind in ("thinking", "redacted_thinking", "mcp_tool_use", "mcp_tool_result"):
        return None
    if kind == "tool_result":
        content = [_essence(inner) for inner in blocks_of(block.get("content") or [])]
        return {"result": block["tool_use_id"], "content": content, "error": bool(block.get("is_error"))}
    return _unmarked(block)


def _unmarked(block: Block) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "cache_control"}
