"""Knows how a child comes to life and how its life ends, with all that stands around it; it must not know whom it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinnace.core.adapters.claude import frames
from pinnace.core.adapters.claude.channel import Channel
from pinnace.core.adapters.claude.frames import Result
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, PoolOptions
from pinnace.core.adapters.claude.process import CliProcess, Prepare, new_id
from pinnace.core.adapters.claude.relay import Relay
from pinnace.core.adapters.claude.spawn import Launch, Resumption, fill_workspace, launch
from pinnace.core.adapters.claude.watch import Watch
from pinnace.core.errors import CliBroke
from pinnace.core.model.run import Profile
from pinnace.core.ports import Clock

REHEARSAL = 10.0


class Nursery:
    """Starts children, few at a time, and ends them; `started` counts them."""

    def __init__(self, cli: CliOptions, agent: AgentOptions, options: PoolOptions, clock: Clock) -> None:
        self._cli, self._agent, self._options, self._clock = cli, agent, options, clock
        self._relay = Relay(cli.credential) if cli.credential.relayed else None
        self._watch = Watch()
        # A start takes 0.4 s of a core: too many at once would only make each of them late.
        self._starts = asyncio.Semaphore(options.spawns)
        self.started = 0

    async def open(self) -> None:
        """Start the guardian and the relay."""
        self._watch.start()
        if self._relay:
            await self._relay.start()

    async def start(
        self,
        profile: Profile,
        initialize: Mapping[str, Any] | None = None,
        resumption: Resumption | None = None,
        prepare: Prepare | None = None,
    ) -> CliProcess:
        """Start a child and wait until it answers; who asks owns it.

        With `initialize` it starts bound to one call, in the directory that `prepare` fills or in a new workspace; without, as
        a spare.

        Raises:
            CliUnavailable: it cannot be started.
        """
        async with self._starts:
            url = self._relay.url if self._relay else None
            spare = initialize is None
            started = launch(profile, self._cli, self._agent, url, claimable=spare, resumption=resumption)
            channel = self._relay.admit(started.token) if self._relay else Channel()
            process = CliProcess(started, channel, self._watch, self._clock.monotonic())
            try:
                if profile is Profile.AGENT and not spare:
                    prepare = prepare or self._filled
                await process.start(self._options.start_timeout, prepare, **(initialize or {}))
            except BaseException:
                await self.end(process)
                raise
            self.started += 1
            return process

    async def _filled(self, started: Launch) -> Path:
        return await asyncio.to_thread(fill_workspace, started, self._agent)

    async def rehearse(self, process: CliProcess) -> None:
        """Let a spare of the `messages` profile answer once, with an answer that the relay makes up: no call leaves.

        The first turn of a process compiles and loads what later ones find ready. A rehearsal that fails ends the process.
        """
        if self._relay is None or process.launch.profile is not Profile.MESSAGES or process.launch.parked:
            return
        turn = new_id()
        process.channel.rehearsing = True
        try:
            process.send(frames.call_settings(new_id(), "default", {}), frames.user_turn(turn, "."))
            while not isinstance(frame := await process.take(REHEARSAL), Result):
                pass
            process.totals = frame.raw
            fields = {"target_message_uuid": turn, "last_seen_user_message_uuid": turn}
            await process.ask("rewind_conversation", seconds=REHEARSAL, **fields)
        except CliBroke:
            await self.end(process)
        finally:
            process.channel.rehearsing = False

    async def end(self, process: CliProcess) -> None:
        """End a child, take its token away and remove its files."""
        await process.close()
        if self._relay:
            self._relay.dismiss(process.launch.token)

    async def aclose(self) -> None:
        """Close the relay and let the guardian go; no child is left by then."""
        if self._relay:
            await self._relay.aclose()
        await asyncio.to_thread(self._watch.close)
