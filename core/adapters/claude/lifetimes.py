"""Knows how long a child may live; it must not know where it stands or who ends it."""

from __future__ import annotations

from pinnace.core.adapters.claude.options import PoolOptions
from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.model.run import Isolation, Profile
from pinnace.core.ports import Clock


def may_live(process: CliProcess, options: PoolOptions, clock: Clock) -> bool:
    """Whether a process that was made as new may serve its project again."""
    profile = process.launch.profile
    isolation = options.isolation_agent if profile is Profile.AGENT else options.isolation_messages
    young = (
        process.turns < process.launch.share_of(options.max_turns)
        and clock.monotonic() - process.born < options.max_age
    )
    return isolation is Isolation.PROJECT and young and process.resident() < options.max_memory


def is_stale(process: CliProcess, options: PoolOptions, clock: Clock) -> bool:
    """Whether a process that nobody uses has been unused for too long."""
    return clock.monotonic() - process.idle_since > options.idle
