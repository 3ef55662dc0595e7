"""Knows which sockets are open, so that all of them can be asked to end; it must not know what they talk about."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Protocol


class Leaver(Protocol):
    """What ends when it is asked to."""

    async def leave(self, seconds: float) -> None:
        """End within so many seconds, and let run until then what runs."""


class OpenSockets:
    """The open sockets of one server; `leaving` says that it shuts down."""

    def __init__(self) -> None:
        self.leaving = False
        self._open: set[Leaver] = set()
        self._tasks: set[asyncio.Future[None]] = set()

    @contextlib.contextmanager
    def holding(self, socket: Leaver) -> Iterator[None]:
        """Count a socket as open."""
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)

    def leave(self, seconds: float) -> None:
        """Ask all of them to end; whoever serves them waits for that."""
        self.leaving = True
        self._tasks |= {asyncio.ensure_future(socket.leave(seconds)) for socket in self._open}
