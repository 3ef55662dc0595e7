"""Knows what one child may do on its present run and what became of it; it must not know how a call is passed on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pinnace.core.errors import PinnaceError
from pinnace.core.ports import Toll


@dataclass(slots=True)
class Channel:
    """What one child may do on its present run, and what became of it.

    `allowance` is how many calls it may still make (None: any number). `betas` and `version` replace the CLI's own headers
    where they are given; each call pays the `toll`, where there is one; `absent` is text to cut out of the body, which
    stands for fields that the caller did not send.
    """

    allowance: int | None = 0
    rehearsing: bool = False
    betas: str | None = None
    more_betas: str = ""
    version: str | None = None
    absent: tuple[bytes, ...] = ()
    calls: int = 0
    failure: PinnaceError | None = None
    toll: Toll | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(
        self,
        *,
        allowance: int | None,
        betas: str | None = None,
        more_betas: str = "",
        version: str | None = None,
        absent: tuple[bytes, ...] = (),
        toll: Toll | None = None,
    ) -> None:
        """Start a run with nothing of the last one left."""
        self.allowance, self.betas, self.more_betas = allowance, betas, more_betas
        self.version, self.absent, self.toll = version, absent, toll
        self.calls, self.failure = 0, None

    def close(self) -> None:
        """Let no further call through."""
        self.allowance = 0
