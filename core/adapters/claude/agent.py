"""Knows a run of the `agent` profile: a claimed spare with Claude Code's tools, the caller's tools beside them, and history.

The caller's tools are an MCP server that this side plays. A call to one is never answered within the run: the run ends
there, the process waits, and the results that the caller sends next are the answer. Where that process is gone by then, the
conversation goes into a new one as history.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from pinnace.core.adapters.claude import frames, history
from pinnace.core.adapters.claude.conversation import Conversation
from pinnace.core.adapters.claude.frames import ControlRequest, Result, StreamEvent, UserFrame
from pinnace.core.adapters.claude.holding import Holding
from pinnace.core.adapters.claude.options import AgentOptions
from pinnace.core.adapters.claude.placing import place
from pinnace.core.adapters.claude.process import new_id
from pinnace.core.adapters.claude.run import BaseRun
from pinnace.core.adapters.claude.session_run import SessionRun
from pinnace.core.adapters.claude.spawn import CALLER, TOOL_PREFIX, fill_workspace
from pinnace.core.errors import BillingRefused, CliBroke
from pinnace.core.model.run import ModelEvent, Profile, RunEvent, ToolsRan
from pinnace.core.ports import SessionLink, Toll

log = logging.getLogger("pinnace.run")


class AgentRun(BaseRun):
    """One call of the `agent` profile."""

    agent: AgentOptions
    holding: Holding[Conversation]
    toll: Toll | None = None
    session: SessionRun | None = None
    _conversation: Conversation

    def serve(
        self,
        agent: AgentOptions,
        holding: Holding[Conversation],
        toll: Toll | None,
        session: SessionLink | None = None,
    ) -> AgentRun:
        """Give it what the other profile has no use for."""
        self.agent, self.holding, self.toll = agent, holding, toll
        if session is not None:
            self.session = SessionRun(session, self.pool, holding, self.cli, agent, self.clock)
        self._text: list[dict[str, Any]] = []
        self._stopped: str | None = None
        return self

    async def open(self) -> None:
        body = self.request.body
        history.check(body)
        messages = body["messages"]
        begin = history.new_turn(messages)
        turn = [block for message in messages[begin:] for block in history.blocks_of(message["content"])]
        tools = {tool["name"]: tool for tool in body.get("tools") or ()}
        held = await self._held(messages[:begin], turn)
        fresh = held is None and not (self.session and self.session.begun)
        if held is not None:
            self._conversation, self._process, self.warm = held, held.process, True
            self.pool.resume(held.process)
        elif self.session is not None and self.session.begun:
            initialize = self._initialize(tools)
            self._process, turn = await self.session.resume(self.request.project, initialize, turn)
            self._conversation = Conversation(self._process, tools)
        else:
            self._process = await self.pool.lease(self.request.project, Profile.AGENT)
            self._conversation = Conversation(self._process, tools)
        self._begin()
        if fresh:
            await self._claim()
        if self.request.files:
            await place(self._directory, self.request.files)
        await self._set_parameters()
        if fresh:
            await self._seed(messages[:begin])
        await self._say(turn)

    async def _held(self, before: list[Mapping[str, Any]], turn: list[dict[str, Any]]) -> Conversation | None:
        """A live process that holds this very conversation."""
        if self.session is not None:
            return await self.session.held(self.request, turn)
        name = history.fingerprint(self.request.project, self.request.model, self.request.body, before)
        return self.holding.take(name) if before else None

    @property
    def _directory(self) -> Path:
        """Where the agent works."""
        shared = self.agent.workspace if self.agent.shared else None
        return shared or self.process.launch.work

    def _begin(self) -> None:
        self.process.channel.begin(allowance=None, more_betas=",".join(self.request.betas), toll=self.toll)
        if self.session is not None:
            self.session.begin(self._conversation, self.request)

    def _initialize(self, tools: Mapping[str, Any]) -> dict[str, Any]:
        """What binds a process to this call from its start."""
        system = history.system_text(self.request.body.get("system")) or None
        replaced = self.agent.replace_system and system
        return {
            "systemPrompt": [system] if replaced else None,
            "appendSystemPrompt": None if replaced else system,
            "sdkMcpServers": [CALLER] if tools else None,
        }

    async def _claim(self) -> None:
        """Bind the spare to this call; where it refuses, start a process that is bound from the start."""
        launch = self.process.launch
        if self.session is not None:
            work = await self.session.fill(self.process)
        else:
            work = await asyncio.to_thread(fill_workspace, launch, self.agent)
        bound = self._initialize(self._conversation.tools)
        reply = await self._ask(
            "claim_session",
            cwd=str(work),
            system_prompt=bound["systemPrompt"],
            append_system_prompt=bound["appendSystemPrompt"],
            sdk_mcp_servers=bound["sdkMcpServers"],
        )
        if reply.error is None:
            self.pool.count("claimed")
            return
        await self.rebind(reply.error, bound)
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
                self._conversation.reply(frame)
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
                    self._conversation.reply(frame)
            self.process.totals = frame.raw

    async def _say(self, blocks: list[dict[str, Any]]) -> None:
        held = self._conversation
        if held.awaited:
            held.give(block for block in blocks if block["type"] == "tool_result")
            blocks = [block for block in blocks if block["type"] != "tool_result"]
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
                self._conversation.reply(frame)
            elif isinstance(frame, Result):
                await self._keep()
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
        if self.session is not None:
            await self.session.written(self.process, calls)
        await self._keep()
        self.complete = True

    async def _keep(self) -> None:
        if self.session is not None:
            await self.session.keep(self.process)

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

    def close(self) -> None:
        # What the agent left running in the background must not go on calling the model while the process waits.
        self.process.channel.close()
        if self.session is not None and self._stopped is None and self.process.alive:
            self.session.hold(self._conversation)
            return
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
