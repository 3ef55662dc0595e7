"""Knows which children may serve whom, and for how long they live; it must not know what a run says to one.

A process that has served a project serves that project again or goes; it never serves another. Spares are parked before
anybody asks. Who finds neither waits for the first of: a process of its project coming back, or a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from pinnace.core.adapters.claude.lifetimes import is_stale, may_live
from pinnace.core.adapters.claude.nursery import Nursery
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, PoolOptions
from pinnace.core.adapters.claude.process import CliProcess, Prepare
from pinnace.core.adapters.claude.shelves import Shelves, Waiter
from pinnace.core.adapters.claude.spawn import Resumption
from pinnace.core.errors import CliUnavailable, Overloaded
from pinnace.core.model.run import PoolStats, Profile
from pinnace.core.ports import Clock

log = logging.getLogger("pinnace.pool")


class Pool:
    """The children of one server; all methods belong to one event loop."""

    def __init__(self, cli: CliOptions, agent: AgentOptions, options: PoolOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._nursery = Nursery(cli, agent, options, clock)
        self._shelves = Shelves()
        self._waiters: deque[Waiter] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counts: Counter[str] = Counter()
        self._closed = False
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start what stands around the children; a second call does nothing."""
        if self._sweeper is None:
            await self._nursery.open()
            self._sweeper = asyncio.create_task(self._sweep())

    async def prepare(self) -> None:
        """Park the spares that the options ask for, and wait for them."""
        await self.open()
        await asyncio.gather(*(self._refilled(profile) for profile in Profile for _ in range(self._missing(profile))))

    async def lease(self, project: str, profile: Profile) -> CliProcess:
        """Give a process for `project`: one that served it, a parked one, or a new one.

        Raises:
            Overloaded: as many wait as may wait.
            CliUnavailable: no process can be started.
        """
        await self.open()
        if self._closed:
            raise Overloaded("The server is shutting down; try again elsewhere.", retry_after=1)
        process = self._from_shelf(project, profile) or await self._wait(project, profile)
        process.project = project
        self._refill(profile)
        return process

    async def greeting(self) -> Mapping[str, Any]:
        """What the CLI says of itself and its models when it starts.

        Raises:
            CliUnavailable: none can be started.
        """
        await self.open()
        for process in (*self._shelves.unused(), *self._shelves.busy):
            if process.greeting:
                return process.greeting
        self._put_back(process := await self._nursery.start(Profile.MESSAGES))
        return process.greeting

    def give_back(self, process: CliProcess, *, reusable: bool) -> None:
        """Take a process back; `reusable` says that it has been made as new and may serve its project again."""
        self._shelves.remove(process)
        process.turns += 1
        self._counts["served"] += 1
        if reusable and process.alive and not self._closed and may_live(process, self._options, self._clock):
            self._put_back(process)
        else:
            self.retire(process)

    def hold(self, process: CliProcess, give_up: Callable[[], None]) -> None:
        """Keep a process for a conversation's next turn; `give_up` is called when its place is needed."""
        self._shelves.busy.discard(process)
        self._shelves.held[process] = give_up
        self._serve_waiters()

    def resume(self, process: CliProcess) -> None:
        """A held process serves again."""
        self._shelves.remove(process)
        self._shelves.busy.add(process)

    def retire(self, process: CliProcess) -> None:
        """End a process in the background."""
        self._shelves.remove(process)
        self.later(self._end(process))

    async def replace(self, process: CliProcess, initialize: Mapping[str, Any]) -> CliProcess:
        """End a leased spare and start a process in its place that is bound to its call from the start."""
        self.retire(process)
        other = await self._nursery.start(process.launch.profile, initialize)
        other.project = process.project
        self._shelves.busy.add(other)
        return other

    async def resumed(
        self, project: str, initialize: Mapping[str, Any], resumption: Resumption, prepare: Prepare
    ) -> CliProcess:
        """Start an agent's process that goes on with a session; waits for room as `lease` does, and raises as that does."""
        await self.open()
        if not self._make_room():
            # Somebody's place is waited for, and taken.
            self.retire(await self.lease(project, Profile.AGENT))
        shelf = self._shelves[Profile.AGENT]
        shelf.starting += 1
        try:
            process = await self._nursery.start(Profile.AGENT, initialize, resumption, prepare)
            process.project = project
            self._shelves.busy.add(process)
        finally:
            shelf.starting -= 1
        return process

    async def end(self, process: CliProcess) -> None:
        """End a process, and wait until nothing of it is left."""
        self._shelves.remove(process)
        await self._end(process)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background that `aclose` waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def count(self, what: str) -> None:
        """Count a `fallback`, a `broken` or a `claimed`."""
        self._counts[what] += 1

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        shelves = self._shelves
        return PoolStats(
            parked=shelves.parked,
            idle=shelves.idle,
            busy=len(shelves.busy),
            held=len(shelves.held),
            starting=shelves.starting,
            waiting=len(self._waiters),
            max_processes=self._options.max_processes,
            started=self._nursery.started,
            reused=self._counts["reused"],
            claimed=self._counts["claimed"],
            fallbacks=self._counts["fallback"],
            broken=self._counts["broken"],
            served=self._counts["served"],
        )

    async def aclose(self, grace: float) -> None:
        """Let the busy end for `grace` seconds, then end everything."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._shelves.busy:  # noqa: ASYNC110 - once in a server's life, and bounded
                    await asyncio.sleep(0.02)
        if self._sweeper:
            self._sweeper.cancel()
        for process in (*self._shelves.unused(), *self._shelves.busy, *self._shelves.held):
            self.retire(process)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._nursery.aclose()

    def _from_shelf(self, project: str, profile: Profile) -> CliProcess | None:
        process, dead = self._shelves.take(project, profile)
        for other in dead:
            self.retire(other)
        self._counts["reused"] += process is not None and process.turns > 0
        return process

    async def _wait(self, project: str, profile: Profile) -> CliProcess:
        if len(self._waiters) >= self._options.max_waiting:
            raise Overloaded("All processes are busy and the queue is full; try again.", retry_after=1)
        waiter = Waiter(project, profile, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._serve_waiters()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and not waiter.future.exception():
                self._put_back(waiter.future.result())
            raise
        finally:
            self._waiters.remove(waiter)

    def _serve_waiters(self) -> None:
        """Give waiters what the shelves hold, and start what is missing as far as there is room."""
        for waiter in list(self._waiters):
            if waiter.open and (found := self._from_shelf(waiter.project, waiter.profile)):
                waiter.future.set_result(found)
        for profile, shelf in self._shelves.by_profile.items():
            wanted = sum(1 for waiter in self._waiters if waiter.profile is profile and waiter.open)
            while shelf.starting < wanted and self._make_room():
                shelf.starting += 1
                self.later(self._start_for_waiters(profile))

    async def _start_for_waiters(self, profile: Profile) -> None:
        try:
            process = await self._started_surely(profile)
        except CliUnavailable as error:
            self._shelves[profile].starting -= 1
            for waiter in self._waiters:
                if waiter.profile is profile and waiter.open:
                    waiter.future.set_exception(error)
                    return
            return
        self._shelves[profile].starting -= 1
        self._put_back(process)

    async def _started_surely(self, profile: Profile) -> CliProcess:
        """Start one; a start that was cut short by something else's doing is tried once more."""
        try:
            return await self._nursery.start(profile)
        except CliUnavailable:
            self._counts["broken"] += 1
            return await self._nursery.start(profile)

    def _put_back(self, process: CliProcess) -> None:
        """A process that nobody uses: to the shelf that it belongs on, and from there to who waits for it."""
        self._shelves.remove(process)
        if self._closed or not process.alive:
            self.retire(process)
            return
        process.idle_since = self._clock.monotonic()
        shelf = self._shelves[process.launch.profile]
        (shelf.parked if process.project is None else shelf.idle).append(process)
        self._serve_waiters()

    def _make_room(self) -> bool:
        """Whether one more may live; ends the longest idle one, or gives up a conversation, where that makes room."""
        if self._closed:
            return False
        if self._shelves.total < self._options.max_processes:
            return True
        oldest = self._shelves.oldest()
        if oldest is not None:
            self.retire(oldest)
            return True
        for give_up in list(self._shelves.held.values()):
            give_up()
            return True
        return False

    def _spares(self, profile: Profile) -> int:
        return self._options.spares_agent if profile is Profile.AGENT else self._options.spares_messages

    def _missing(self, profile: Profile) -> int:
        shelf = self._shelves[profile]
        return max(0, self._spares(profile) - len(shelf.parked) - shelf.starting)

    def _refill(self, profile: Profile) -> None:
        if not self._closed and self._missing(profile) and self._shelves.total < self._options.max_processes:
            self.later(self._refilled(profile))

    async def _refilled(self, profile: Profile) -> None:
        shelf = self._shelves[profile]
        shelf.starting += 1
        try:
            process = await self._nursery.start(profile)
            if not self._waiters:
                await self._nursery.rehearse(process)
        except CliUnavailable as error:
            log.warning("no spare can be parked", extra={"error": str(error)})
            return
        finally:
            shelf.starting -= 1
        self._put_back(process)

    async def _end(self, process: CliProcess) -> None:
        await self._nursery.end(process)
        self._serve_waiters()

    async def _sweep(self) -> None:
        """End what has been unused for too long, and replace spares that died."""
        while True:
            await asyncio.sleep(1)
            for profile, shelf in self._shelves.by_profile.items():
                spare = set(shelf.parked[: self._spares(profile)])
                for process in (*shelf.parked, *shelf.idle):
                    if not process.alive or (is_stale(process, self._options, self._clock) and process not in spare):
                        self.retire(process)
                self._refill(profile)
