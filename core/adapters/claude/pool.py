"""Knows how many children live, which of them may serve whom, and for how long; it must not know what a run says to one.

A process that has served a project serves that project again or goes; it never serves another. Spares are parked before
anybody asks. Who finds neither waits for the first of: a process of its project coming back, or a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, PoolOptions
from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.adapters.claude.relay import Channel, Relay
from pinnace.core.adapters.claude.spawn import launch
from pinnace.core.adapters.claude.watch import Watch
from pinnace.core.errors import CliUnavailable, Overloaded
from pinnace.core.model.run import Isolation, PoolStats, Profile
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.pool")


@dataclass(slots=True)
class _Waiter:
    project: str
    profile: Profile
    future: asyncio.Future[CliProcess]


@dataclass(slots=True)
class _Shelf:
    """The children of one profile that nobody uses: parked ones, and idle ones by project, the latest used last."""

    parked: deque[CliProcess] = field(default_factory=deque)
    idle: list[CliProcess] = field(default_factory=list)
    starting: int = 0


class Pool:
    """The children of one server; all methods belong to one event loop."""

    def __init__(self, cli: CliOptions, agent: AgentOptions, options: PoolOptions, clock: Clock) -> None:
        self._cli, self._agent, self._options, self._clock = cli, agent, options, clock
        self._relay = Relay(cli.credential) if cli.credential.relayed else None
        self._watch = Watch()
        self._shelves = {profile: _Shelf() for profile in Profile}
        self._waiters: deque[_Waiter] = deque()
        self._busy: set[CliProcess] = set()
        self._held: dict[CliProcess, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starts = asyncio.Semaphore(options.spawns)
        self._counts: Counter[str] = Counter()
        self._closed = False
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start what stands around the children; a second call does nothing."""
        if self._sweeper is None:
            self._watch.start()
            if self._relay:
                await self._relay.start()
            self._sweeper = asyncio.create_task(self._sweep())

    async def prepare(self) -> None:
        """Park the spares that the options ask for, and wait for them."""
        await self.open()
        await asyncio.gather(*(self._park(profile) for profile in Profile for _ in range(self._missing(profile))))

    async def lease(self, project: str, profile: Profile) -> CliProcess:
        """Give a process for `project`: one that served it, a parked one, or a new one.

        Raises:
            Overloaded: as many wait as may wait.
            CliUnavailable: no process can be started.
        """
        await self.open()
        if self._closed:
            raise Overloaded("The server is shutting down; try again elsewhere.", retry_after=1)
        process = self._from_shelf(project, profile)
        if process is None:
            process = await self._wait(project, profile)
        process.project = project
        self._busy.add(process)
        self._refill(profile)
        return process

    async def greeting(self) -> Mapping[str, Any]:
        """What the CLI says of itself and its models when it starts.

        Raises:
            CliUnavailable: none can be started.
        """
        await self.open()
        shelves = self._shelves.values()
        for process in (*(p for shelf in shelves for p in (*shelf.parked, *shelf.idle)), *self._busy):
            if process.greeting:
                return process.greeting
        process = await self.start(Profile.MESSAGES)
        self._unclaimed(process)
        return process.greeting

    def give_back(self, process: CliProcess, *, reusable: bool) -> None:
        """Take a process back; `reusable` says that it has been made as new and may serve its project again."""
        self._busy.discard(process)
        self._held.pop(process, None)
        process.turns += 1
        self._counts["served"] += 1
        if not (reusable and process.alive and self._may_live(process)):
            self.retire(process)
            return
        process.idle_since = self._clock.monotonic()
        for waiter in self._waiters:
            fits = waiter.project == process.project and waiter.profile is process.launch.profile
            if fits and not waiter.future.done():
                waiter.future.set_result(process)
                return
        self._shelves[process.launch.profile].idle.append(process)
        self._serve_waiters()

    def hold(self, process: CliProcess, give_up: Callable[[], None]) -> None:
        """Keep a process for a conversation's next turn; `give_up` is called when its place is needed."""
        self._busy.discard(process)
        self._held[process] = give_up

    def resume(self, process: CliProcess) -> None:
        """A held process serves again."""
        self._held.pop(process, None)
        self._busy.add(process)

    def retire(self, process: CliProcess) -> None:
        """End a process in the background."""
        self._busy.discard(process)
        self._held.pop(process, None)
        self._spawn(self._end(process))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background that `aclose` waits for."""
        self._spawn(work)

    def count(self, what: str) -> None:
        """Count a `fallback`, a `broken` or a `claimed`."""
        self._counts[what] += 1

    def stats(self) -> PoolStats:
        shelves = self._shelves.values()
        return PoolStats(
            parked=sum(len(shelf.parked) for shelf in shelves),
            idle=sum(len(shelf.idle) for shelf in shelves) + len(self._held),
            busy=len(self._busy),
            starting=sum(shelf.starting for shelf in shelves),
            waiting=len(self._waiters),
            max_processes=self._options.max_processes,
            started=self._counts["started"],
            reused=self._counts["reused"],
            claimed=self._counts["claimed"],
            fallbacks=self._counts["fallback"],
            broken=self._counts["broken"],
            served=self._counts["served"],
        )

    async def replace(self, process: CliProcess, *, claimable: bool) -> CliProcess:
        """End a leased process and start another for the same project in its place."""
        self.retire(process)
        other = await self.start(process.launch.profile, claimable=claimable)
        other.project = process.project
        self._busy.add(other)
        return other

    async def start(self, profile: Profile, *, claimable: bool = True) -> CliProcess:
        """Start a process outside the shelves; who asks owns it.

        Raises:
            CliUnavailable: it cannot be started.
        """
        async with self._starts:
            started = launch(
                profile, self._cli, self._agent, self._relay.url if self._relay else None, claimable=claimable
            )
            channel = self._relay.admit(started.token) if self._relay else Channel()
            process = CliProcess(started, channel, self._watch, self._clock.monotonic())
            try:
                await process.start(self._options.start_timeout)
            except BaseException:
                if self._relay:
                    self._relay.dismiss(started.token)
                raise
            self._counts["started"] += 1
            return process

    async def aclose(self, grace: float) -> None:
        """Let the busy end for `grace` seconds, then end everything."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._busy:  # noqa: ASYNC110 - once in a server's life, and bounded
                    await asyncio.sleep(0.02)
        if self._sweeper:
            self._sweeper.cancel()
        for shelf in self._shelves.values():
            for process in (*shelf.parked, *shelf.idle):
                self.retire(process)
            shelf.parked.clear()
            shelf.idle.clear()
        for process in (*self._busy, *self._held):
            self.retire(process)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._relay:
            await self._relay.aclose()
        await asyncio.to_thread(self._watch.close)

    def _from_shelf(self, project: str, profile: Profile) -> CliProcess | None:
        shelf = self._shelves[profile]
        for process in reversed(shelf.idle):
            if process.project == project:
                shelf.idle.remove(process)
                if process.alive:
                    self._counts["reused"] += 1
                    return process
                self.retire(process)
        while shelf.parked and self._room(but=1):
            process = shelf.parked.popleft()
            if process.alive:
                return process
            self.retire(process)
        return None

    async def _wait(self, project: str, profile: Profile) -> CliProcess:
        if len(self._waiters) >= self._options.max_waiting:
            raise Overloaded("All processes are busy and the queue is full; try again.", retry_after=1)
        waiter = _Waiter(project, profile, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._serve_waiters()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and not waiter.future.exception():
                self._unclaimed(waiter.future.result())
            raise
        finally:
            self._waiters.remove(waiter)

    def _serve_waiters(self) -> None:
        """Give waiters what the shelves hold, and start what is missing as far as there is room."""
        for waiter in list(self._waiters):
            if not waiter.future.done() and (found := self._from_shelf(waiter.project, waiter.profile)):
                waiter.future.set_result(found)
        for profile, shelf in self._shelves.items():
            wanted = sum(1 for waiter in self._waiters if waiter.profile is profile and not waiter.future.done())
            while shelf.starting < wanted and self._make_room():
                shelf.starting += 1
                self._spawn(self._start_for_waiters(profile))

    async def _start_for_waiters(self, profile: Profile) -> None:
        shelf = self._shelves[profile]
        failure: CliUnavailable | None = None
        process: CliProcess | None = None
        try:
            process = await self.start(profile)
        except CliUnavailable as error:
            failure = error
        finally:
            shelf.starting -= 1
        for waiter in self._waiters:
            if waiter.profile is profile and not waiter.future.done():
                if process:
                    waiter.future.set_result(process)
                else:
                    waiter.future.set_exception(failure or CliUnavailable("The Claude Code CLI cannot be started."))
                return
        if process:
            self._unclaimed(process)

    def _unclaimed(self, process: CliProcess) -> None:
        """A process that its waiter no longer wants: back where it came from."""
        shelf = self._shelves[process.launch.profile]
        if self._closed or not process.alive:
            self.retire(process)
        elif process.project is None:
            shelf.parked.append(process)
        else:
            shelf.idle.append(process)
        self._serve_waiters()

    def _total(self) -> int:
        on_shelves = sum(len(s.parked) + len(s.idle) + s.starting for s in self._shelves.values())
        return on_shelves + len(self._busy) + len(self._held)

    def _room(self, *, but: int = 0) -> bool:
        return self._total() - but < self._options.max_processes

    def _make_room(self) -> bool:
        """Whether one more may live; ends the longest idle one where that makes room."""
        if self._closed:
            return False
        if self._room():
            return True
        idle = [process for shelf in self._shelves.values() for process in (*shelf.idle, *shelf.parked)]
        if idle:
            oldest = min(idle, key=lambda process: process.idle_since)
            shelf = self._shelves[oldest.launch.profile]
            (shelf.parked if oldest in shelf.parked else shelf.idle).remove(oldest)
            self.retire(oldest)
            return True
        for give_up in list(self._held.values()):
            give_up()
            return True
        return False

    def _may_live(self, process: CliProcess) -> bool:
        o = self._options
        if self._isolation(process.launch.profile) is Isolation.PROCESS or self._closed:
            return False
        age = self._clock.monotonic() - process.born
        return process.turns < o.max_turns and age < o.max_age and process.resident() < o.max_memory

    def _isolation(self, profile: Profile) -> Isolation:
        return self._options.isolation_agent if profile is Profile.AGENT else self._options.isolation_messages

    def _spares(self, profile: Profile) -> int:
        return self._options.spares_agent if profile is Profile.AGENT else self._options.spares_messages

    def _stale(self, process: CliProcess) -> bool:
        return self._clock.monotonic() - process.idle_since > self._options.idle

    def _missing(self, profile: Profile) -> int:
        shelf = self._shelves[profile]
        return max(0, self._spares(profile) - len(shelf.parked) - shelf.starting)

    def _refill(self, profile: Profile) -> None:
        if not self._closed and self._missing(profile) and self._room():
            self._shelves[profile].starting += 1
            self._spawn(self._refilled(profile))

    async def _refilled(self, profile: Profile) -> None:
        try:
            process = await self.start(profile)
        except CliUnavailable as error:
            log.warning("no spare can be parked", extra={"error": str(error)})
            return
        finally:
            self._shelves[profile].starting -= 1
        self._unclaimed(process)

    async def _park(self, profile: Profile) -> None:
        self._shelves[profile].starting += 1
        await self._refilled(profile)

    async def _end(self, process: CliProcess) -> None:
        await process.close()
        if self._relay:
            self._relay.dismiss(process.launch.token)
        self._serve_waiters()

    async def _sweep(self) -> None:
        """End what has been idle for too long, and replace spares that died."""
        while True:
            await asyncio.sleep(1)
            for profile, shelf in self._shelves.items():
                for process in list(shelf.idle):
                    if self._stale(process) or not process.alive:
                        shelf.idle.remove(process)
                        self.retire(process)
                surplus = len(shelf.parked) > self._spares(profile)
                for process in [spare for spare in shelf.parked if not spare.alive or (surplus and self._stale(spare))][
                    :1
                ]:
                    shelf.parked.remove(process)
                    self.retire(process)
                self._refill(profile)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
