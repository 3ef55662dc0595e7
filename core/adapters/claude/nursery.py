"""Knows how a child comes to life and how its life ends, with all that stands around it; it must not know whom it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, PoolOptions
from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.adapters.claude.relay import Channel, Relay
from pinnace.core.adapters.claude.spawn import launch
from pinnace.core.adapters.claude.watch import Watch
from pinnace.core.model.run import Profile
from pinnace.core.ports import Clock


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

    async def start(self, profile: Profile, initialize: Mapping[str, Any] | None = None) -> CliProcess:
        """Start a child and wait until it answers; who asks owns it.

        With `initialize` it starts in its workspace and bound to one call; without, as a spare.

        Raises:
            CliUnavailable: it cannot be started.
        """
        async with self._starts:
            url = self._relay.url if self._relay else None
            started = launch(profile, self._cli, self._agent, url, claimable=initialize is None)
            channel = self._relay.admit(started.token) if self._relay else Channel()
            process = CliProcess(started, channel, self._watch, self._clock.monotonic())
            try:
                if initialize is None:
                    await process.start(self._options.start_timeout)
                else:
                    await process.start(self._options.start_timeout, agent=self._agent, **initialize)
            except BaseException:
                await self.end(process)
                raise
            self.started += 1
            return process

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
