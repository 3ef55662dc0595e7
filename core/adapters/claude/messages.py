"""Knows a run of the `messages` profile: the caller's own request body, one call, the model's own stream; no tools, no agent.

The whole request goes through `CLAUDE_CODE_EXTRA_BODY`, which the CLI merges into the body that it sends; a one-word user
turn sets it going, and a rewind takes the word back. Every call replaces all of the setting.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any

from pinnace.core.adapters.claude import frames
from pinnace.core.adapters.claude.frames import ControlResponse, Result, StreamEvent
from pinnace.core.adapters.claude.process import new_id
from pinnace.core.adapters.claude.run import ENDING, BaseRun
from pinnace.core.errors import CliBroke
from pinnace.core.model.run import ModelEvent, Profile, RunEvent

log = logging.getLogger("pinnace.run")

#: Fields that the CLI always sends; where the caller did not, the relay cuts them out again.
ALWAYS_SENT: dict[str, Any] = {"system": [], "tools": [], "metadata": {}}
WORD = "."


class MessagesRun(BaseRun):
    """One call of the `messages` profile."""

    #: What the CLI writes itself.
    its_own = frozenset(["stream"])
    broken = False
    _stopped: str | None = None

    async def open(self) -> None:
        self._process = await self.pool.lease(self.request.project, Profile.MESSAGES)
        self.warm = self._process.turns > 0
        await self.claim()
        self._turn = new_id()
        settings = new_id()
        self._settings = self.process.expect(settings)
        body, absent = self._body()
        betas, more = self.betas()
        self.process.channel.begin(
            allowance=1, betas=betas, more_betas=more, version=self.request.api_version, absent=absent
        )
        self.process.send(frames.call_settings(settings, self.request.model, body))
        if not self.cli.credential.relayed:
            await self._applied()
        self.process.send(frames.user_turn(self._turn, WORD))
        await self.process.flush()

    async def claim(self) -> None:
        """Bind the process, where the whole request cannot go by its settings."""

    def betas(self) -> tuple[str | None, str]:
        """The betas that replace the CLI's own, and those that join them."""
        return ",".join(self.request.betas), ""

    def _body(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """The body that reaches the model, and the text that the relay must find in it and cut out.

        The mark proves to the relay that a body is this run's own, whatever the process served before.
        """
        given = self.request.body.items()
        body: dict[str, Any] = {name: value for name, value in given if name not in self.its_own}
        if not self.cli.credential.relayed:
            # A cloud provider has names of its own for models, which the CLI knows.
            body.pop("model", None)
            return ALWAYS_SENT | body | {"betas": list(self.request.betas)}, ()
        body["model"] = self.request.model
        nonce = secrets.token_hex(16)
        absent = [f'"pinnace":"{nonce}"'.encode()]
        marked: dict[str, Any] = {"pinnace": nonce}
        if self.betas()[0] is not None:
            marked["betas"] = []
        for name in ALWAYS_SENT:
            if name not in body and name not in self.its_own:
                marked[name] = [nonce]
                absent.append(f'"{name}":["{nonce}"]'.encode())
        return body | marked, tuple(absent)

    async def _applied(self) -> None:
        reply: ControlResponse = await self.process.answer(self._settings, self.remaining())
        if reply.error:
            log.error("the CLI refused the request's settings", extra={"error": reply.error})
            raise CliBroke("The Claude Code CLI refused the request's settings.")

    async def events(self) -> AsyncIterator[RunEvent]:
        answered, begun = False, False
        while True:
            try:
                async with asyncio.timeout(ENDING if answered else None):
                    frame = await (self.take() if begun else self.first())
                    # What a process said before it was killed may wait here still, and begins nothing.
                    begun = begun or isinstance(frame, StreamEvent | Result)
            except (TimeoutError, CliBroke):
                if not answered:
                    raise
                self.complete = self.broken = True
                return
            if isinstance(frame, Result):
                self.settle(frame)
                if not answered:
                    raise self.failed(frame)
                self.complete = True
                return
            if isinstance(frame, StreamEvent) and not answered:
                if self._breaks_off(frame.event):
                    self._stay_at_one_call()
                    continue
                self.account.see(frame.event)
                answered = frame.event["type"] == "message_stop"
                if answered:
                    self._stay_at_one_call()
                yield ModelEvent(frame.event)

    def _stay_at_one_call(self) -> None:
        """Keep the CLI from calling again by itself, as the relay does where there is one."""
        if not self.cli.credential.relayed and self._stopped in (None, "max_tokens"):
            self.process.send(frames.control(new_id(), "interrupt"))

    def _breaks_off(self, event: dict[str, Any]) -> bool:
        """Whether this is one of the events with which the CLI itself closes a stream that broke.

        It ends such a message without a `stop_reason`, or without a `message_delta` at all.
        """
        kind = event["type"]
        if kind == "message_delta":
            self._stopped = event["delta"].get("stop_reason")
        if kind in ("message_delta", "message_stop") and self._stopped is None:
            return True
        return kind == "content_block_stop" and self.process.channel.failure is not None

    def close(self) -> None:
        process = self.process
        process.channel.close()
        if self.broken:
            self.pool.give_back(process, reusable=False)
            return
        self.pool.later(self._recycled())

    async def _recycled(self) -> None:
        reusable = False
        try:
            reusable = await self.recycle()
        except CliBroke:
            log.warning("a process could not be rewound")
        self.pool.give_back(self.process, reusable=reusable)

    async def recycle(self) -> bool:
        request_id = new_id()
        answer = self.process.expect(request_id)
        self.process.send(frames.rewind(request_id, self._turn, self._turn))
        reply = await self.process.answer(answer, ENDING)
        return bool(reply.response.get("rewound"))
