"""Knows what a process holds of a conversation, and plays the MCP server of the caller's tools; it must not know a run.

A call to one of the caller's tools is never answered within a run: the run ends there, and the results that the caller sends
next are the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnace.core.adapters.claude import frames, history
from pinnace.core.adapters.claude.frames import ControlRequest, Frame
from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.adapters.claude.spawn import CALLER


@dataclass(slots=True)
class Conversation:
    """A conversation on a live process: the caller's tools whose results it waits for, and frames that came meanwhile.

    Of a session, `turns` is how many of it were kept, and `setup` stands for what cannot change while the process lives.
    """

    process: CliProcess
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pending: dict[str, tuple[str, Any]] = field(default_factory=dict)
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    early: deque[Frame] = field(default_factory=deque)
    turns: int = 0
    setup: str = ""

    def reply(self, frame: ControlRequest) -> None:
        """Answer what the CLI asks about the caller's tools."""
        if frame.subtype != "mcp_message":
            self.process.send(frames.control_reply(frame.request_id, {}))
            return
        message = frame.request["message"]
        method, params = message.get("method"), message.get("params") or {}
        if method == "tools/call":
            call_id = (params.get("_meta") or {}).get("claudecode/toolUseId", "")
            self.pending[call_id] = (frame.request_id, message.get("id"))
            self._hand_over(call_id)
            return
        result: dict[str, Any] = {}
        if method == "initialize":
            info = {"name": CALLER, "version": "1"}
            result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        elif method == "tools/list":
            result = {"tools": [_offered(tool) for tool in self.tools.values()]}
        self.process.send(frames.mcp_reply(frame.request_id, message.get("id"), result))

    def give(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Take the caller's results for the calls that are waited for."""
        self.results |= {block["tool_use_id"]: block for block in results}
        self.awaited = set()
        for call_id in list(self.pending):
            self._hand_over(call_id)

    def _hand_over(self, call_id: str) -> None:
        """Answer a pending call, if the caller's result for it is there."""
        result = self.results.get(call_id)
        if result is None or call_id not in self.pending:
            return
        request_id, message_id = self.pending.pop(call_id)
        content = [_mcp_content(block) for block in history.blocks_of(result.get("content") or [])]
        answer = {"content": content, "isError": bool(result.get("is_error"))}
        self.process.send(frames.mcp_reply(request_id, message_id, answer))


def _offered(tool: Mapping[str, Any]) -> dict[str, Any]:
    offered: dict[str, Any] = {"name": tool["name"], "inputSchema": tool["input_schema"]}
    if tool.get("description"):
        offered["description"] = tool["description"]
    # Without this the CLI keeps the schema back until the model searches for the tool.
    return offered | {"_meta": {"anthropic/alwaysLoad": True}}


def _mcp_content(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "image" and block["source"]["type"] == "base64":
        return {"type": "image", "data": block["source"]["data"], "mimeType": block["source"]["media_type"]}
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    return {"type": "text", "text": frames.encode([block]).decode().strip()}
