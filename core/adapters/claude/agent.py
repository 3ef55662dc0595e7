"""Knows a run of the `agent` profile: a claimed spare with Claude Code's tools, the caller's tools beside them, and history.

The caller's tools are an MCP server that this side plays. A call to one is never answered within the run: the run ends
there, the process waits, and the results that the caller sends next are the answer. Where that process is gone by then, the
conversation goes into a new one as history.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnace.core.adapters.claude import frames, history
from pinnace.core.adapters.claude.frames import ControlRequest, Frame, Result, StreamEvent, UserFrame
from pinnace.core.adapters.claude.holding import Holding
from pinnace.core.adapters.claude.options import AgentOptions
from pinnace.core.adapters.claude.process import CliProcess, new_id
from pinnace.core.adapters.claude.run import BaseRun
from pinnace.core.adapters.claude.spawn import CALLER, TOOL_PREFIX, fill_workspace
from pinnace.core.errors import BillingRefused, CliBroke
from pinnace.core.model.run import ModelEvent, Profile, RunEvent, ToolsRan
from pinnace.core.ports import Toll

log = logging.getLogger("pinnace.run")


@dataclass(slots=True)
class Conversation:
    """What a process holds of a conversation: the caller's tools whose results it waits for, and frames that came meanwhile."""

    process: CliProcess
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pending: dict[str, tuple[str, Any]] = field(default_factory=dict)
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    early: deque[Frame] = field(default_factory=deque)


class AgentRun(BaseRun):
    """One call of the `agent` profile."""

    agent: AgentOptions
    holding: Holding[Conversation]
    toll: Toll | None = None
    _conversation: Conversation

    def serve(self, agent: AgentOptions, holding: Holding[Conversation], toll: Toll | None) -> AgentRun:
        """Give it what the other profile has no use for."""
        self.agent, self.holding, self.toll = agent, holding, toll
        self._text: list[dict[str, Any]] = []
        self._stopped: str | None = None
        return self

    async def open(self) -> None:
        body = self.request.body
        history.check(body)
        messages = body["messages"]
        begin = history.new_turn(messages)
        name = history.fingerprint(self.request.project, self.request.model, body, messages[:begin])
        held = self.holding.take(name) if begin else None
        if held is not None:
            self._conversation, self._process, self.warm = held, held.process, True
            self.pool.resume(held.process)
        else:
            self._process = await self.pool.lease(self.request.project, Profile.AGENT)
            tools = {tool["name"]: tool for tool in body.get("tools") or ()}
            self._conversation = Conversation(self._process, tools)
        self._begin()
        if held is None:
            await self._claim()
        await self._set_parameters()
        if held is None:
            await self._seed(messages[:begin])
        await self._say(messages[begin:])

    def _begin(self) -> None:
        self.process.channel.begin(allowance=None, more_betas=",".join(self.request.betas), toll=self.toll)

    async def _claim(self) -> None:
        """Bind the spare to this call; where it refuses, start a process that is bound from the start."""
        work = await asyncio.to_thread(fill_workspace, self.process.launch, self.agent)
        system, tools = (
            history.system_text(self.request.body.get("system")),
            [CALLER] if self._conversation.tools else None,
        )
        replaced, appended = ([system], None) if self.agent.replace_system else (None, system)
        reply = await self._ask(
            "claim_session",
            cwd=str(work),
            system_prompt=replaced if system else None,
            append_system_prompt=appended or None,
            sdk_mcp_servers=tools,
        )
        if reply.error is None:
            self.pool.count("claimed")
            return
        initialize = {
            "systemPrompt": replaced if system else None,
            "appendSystemPrompt": appended or None,
            "sdkMcpServers": tools,
        }
        await self.rebind(reply.error, initialize)
        self._conversation.process = self.process
        self._begin()

    async def _ask(self, subtype: str, **fields: Any) -> frames.ControlResponse:
        request_id = new_id()
        answer = self.process.expect(request_id)
        self.process.send(frames.control(request_id, subtype, **fields))
        return await self._answered(answer)

    async def _set_parameters(self) -> None:
        request_id = new_id()
        answer = self.process.expect(request_id)
        extra = history.parameters(self.request.body)
        self.process.send(frames.call_settings(request_id, self.request.model, extra))
        reply = await self._answered(answer)
        if reply.error is not None:
            raise CliBroke("The Claude Code CLI refused the request's settings.")

    async def _answered(self, answer: asyncio.Future[frames.ControlResponse]) -> frames.ControlResponse:
        """Wait for an answer while the CLI asks about the caller's tools; what else it says is for `events`."""
        while not answer.done():
            taking = asyncio.ensure_future(self.take())
            try:
                await asyncio.wait((answer, taking), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not taking.done():
                    taking.cancel()
            if not taking.done() or taking.cancelled():
                continue
            if isinstance(frame := taking.result(), ControlRequest):
                self._reply(frame)
            else:
                self._conversation.early.append(frame)
        return await answer

    async def _seed(self, messages: list[Mapping[str, Any]]) -> None:
        """Give the history, one turn after the other: the CLI keeps their order only if each is waited for."""
        for role, blocks in history.turns(messages):
            if not blocks:
                continue
            if role == "assistant":
                self.process.send(frames.assistant_turn(new_id(), f"msg_{new_id()}", self.request.model, blocks))
                continue
            self.process.send(frames.user_turn(new_id(), blocks, answered=False))
            while not isinstance(frame := await self.take(), Result):
                if isinstance(frame, ControlRequest):
                    self._reply(frame)
            self.process.totals = frame.raw

    async def _say(self, messages: list[Mapping[str, Any]]) -> None:
        blocks = [block for message in messages for block in history.blocks_of(message["content"])]
        held = self._conversation
        if held.awaited:
            held.results |= {block["tool_use_id"]: block for block in blocks if block["type"] == "tool_result"}
            blocks = [block for block in blocks if block["type"] != "tool_result"]
            held.awaited = set()
            for call_id in list(held.pending):
                self._hand_over(call_id)
        if blocks:
            self.process.send(frames.user_turn(new_id(), blocks))
        await self.process.flush()

    async def events(self) -> AsyncIterator[RunEvent]:
        calls: set[str] = set()
        begun = False
        while True:
            early = self._conversation.early
            frame = early.popleft() if early else await (self.take() if begun else self.first())
            begun = begun or isinstance(frame, StreamEvent | Result)
            if isinstance(frame, ControlRequest):
                self._reply(frame)
            elif isinstance(frame, Result):
                self._finish(frame)
                return
            elif isinstance(frame, StreamEvent):
                self.account.see(frame.event, frame.parent)
                if frame.parent is None:
                    yield ModelEvent(self._named(frame.event, calls))
                    if frame.event["type"] == "message_stop" and calls:
                        await self._wait_for_caller(calls)
                        return
            elif isinstance(frame, UserFrame) and frame.parent is None and (ran := self._ran(frame.content)):
                yield ToolsRan(ran)

    async def _wait_for_caller(self, calls: set[str]) -> None:
        """The answer ends with calls of the caller's tools: note what was used so far, and leave the process waiting."""
        self._conversation.awaited = calls
        reply = await self._ask("get_usage")
        session = reply.response.get("session") or {}
        self.settle_totals(
            {"total_cost_usd": session.get("total_cost_usd", 0), "modelUsage": session.get("model_usage")}
        )
        self.complete = True

    def _finish(self, result: Result) -> None:
        self.settle(result)
        if result.subtype == "error_max_budget_usd":
            raise BillingRefused("The run used up the budget of this call.")
        if result.subtype not in ("success", "error_max_turns") or (result.is_error and result.subtype == "success"):
            raise self.failed(result)
        self._stopped = "pause_turn" if result.subtype == "error_max_turns" else None
        self.complete = True

    @property
    def stop_reason(self) -> str | None:
        """Why the run ended, where the model's last words do not say it."""
        return self._stopped

    def _named(self, event: dict[str, Any], calls: set[str]) -> dict[str, Any]:
        """Give the caller's tools their own names back, and keep what a next turn is recognised by."""
        if event["type"] == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use" and block["name"].startswith(TOOL_PREFIX):
                calls.add(block["id"])
                self._text.append({"type": "tool_use", "id": block["id"]})
                own = {**block, "name": block["name"].removeprefix(TOOL_PREFIX), "caller_tool": True}
                return {**event, "content_block": own}
        elif event["type"] == "content_block_delta" and event["delta"].get("type") == "text_delta":
            self._text.append({"type": "text", "text": event["delta"]["text"]})
        return event

    def _ran(self, content: Any) -> tuple[dict[str, Any], ...]:
        if not isinstance(content, list):
            return ()
        results = [block for block in content if block.get("type") == "tool_result"]
        return tuple(block for block in results if block["tool_use_id"] not in self._conversation.results)

    def _reply(self, frame: ControlRequest) -> None:
        """Play the MCP server of the caller's tools."""
        if frame.subtype != "mcp_message":
            self.process.send(frames.control_reply(frame.request_id, {}))
            return
        message = frame.request["message"]
        method, params = message.get("method"), message.get("params") or {}
        if method == "tools/call":
            call_id = (params.get("_meta") or {}).get("claudecode/toolUseId", "")
            self._conversation.pending[call_id] = (frame.request_id, message.get("id"))
            self._hand_over(call_id)
            return
        result: dict[str, Any] = {}
        if method == "initialize":
            info = {"name": CALLER, "version": "1"}
            result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        elif method == "tools/list":
            result = {"tools": [_offered(tool) for tool in self._conversation.tools.values()]}
        self.process.send(frames.mcp_reply(frame.request_id, message.get("id"), result))

    def _hand_over(self, call_id: str) -> None:
        """Answer a pending call, if the caller's result for it is there."""
        held = self._conversation
        result = held.results.get(call_id)
        if result is None or call_id not in held.pending:
            return
        request_id, message_id = held.pending.pop(call_id)
        content = [_mcp_content(block) for block in history.blocks_of(result.get("content") or [])]
        answer = {"content": content, "isError": bool(result.get("is_error"))}
        self.process.send(frames.mcp_reply(request_id, message_id, answer))

    def close(self) -> None:
        # What the agent left running in the background must not go on calling the model while the process waits.
        self.process.channel.close()
        body = self.request.body
        said = [*body["messages"], {"role": "assistant", "content": self._text}]
        name = history.fingerprint(self.request.project, self.request.model, body, said)
        if self._stopped is None and self.process.alive:
            self.holding.keep(name, self._conversation)
        else:
            self.pool.give_back(self.process, reusable=False)

    async def recycle(self) -> bool:
        """The tools of an agent leave traces, so its process serves no other conversation."""
        return False


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
