"""Knows where each living child is at this moment, and so how many there are; it starts and ends none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.model.run import Profile


@dataclass(slots=True)
class Waiter:
    """A call that waits for a process."""

    project: str
    profile: Profile
    future: asyncio.Future[CliProcess]

    @property
    def open(self) -> bool:
        return not self.future.done()


@dataclass(slots=True)
class Shelf:
    """The children of one profile that nobody uses: parked ones, and idle ones, the latest used last."""

    parked: list[CliProcess] = field(default_factory=list)
    idle: list[CliProcess] = field(default_factory=list)
    starting: int = 0


@dataclass(slots=True)
class Shelves:
    """All children: on a shelf, busy with a call, or held for a conversation's next turn.

    A process that was given to somebody is busy from that moment on, also before its new holder has noticed; otherwise
    there would be moments in which it is counted nowhere, and too many would be started.
    """

    by_profile: dict[Profile, Shelf] = field(default_factory=lambda: {profile: Shelf() for profile in Profile})
    busy: set[CliProcess] = field(default_factory=set)
    held: dict[CliProcess, Callable[[], None]] = field(default_factory=dict)

    def __getitem__(self, profile: Profile) -> Shelf:
        return self.by_profile[profile]

    @property
    def parked(self) -> int:
        return sum(len(shelf.parked) for shelf in self.by_profile.values())

    @property
    def idle(self) -> int:
        return sum(len(shelf.idle) for shelf in self.by_profile.values())

    @property
    def starting(self) -> int:
        return sum(shelf.starting for shelf in self.by_profile.values())

    @property
    def total(self) -> int:
        """How many live, or will in a moment."""
        return self.parked + self.idle + self.starting + len(self.busy) + len(self.held)

    def unused(self) -> Iterator[CliProcess]:
        """Those on the shelves."""
        for shelf in self.by_profile.values():
            yield from (*shelf.parked, *shelf.idle)

    def take(self, project: str, profile: Profile) -> tuple[CliProcess | None, list[CliProcess]]:
        """Take a process that may serve `project`, its own ones first; the second value is the dead that were found."""
        shelf = self.by_profile[profile]
        dead: list[CliProcess] = []
        own = [process for process in reversed(shelf.idle) if process.project == project]
        for process in (*own, *shelf.parked):
            self.remove(process)
            if process.alive:
                self.busy.add(process)
                return process, dead
            dead.append(process)
        return None, dead

    def remove(self, process: CliProcess) -> None:
        """Take a process from wherever it is."""
        shelf = self.by_profile[process.launch.profile]
        for place in (shelf.parked, shelf.idle):
            if process in place:
                place.remove(process)
        self.busy.discard(process)
        self.held.pop(process, None)

    def oldest(self) -> CliProcess | None:
        """The process that has been unused for the longest time."""
        return min(self.unused(), key=lambda process: process.idle_since, default=None)
