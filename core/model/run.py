"""Knows what one call asks of the CLI and what comes back, as frozen values; it must not know frames, HTTP or money rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Profile(StrEnum):
    """How much of Claude Code a call gets."""

    AGENT = "agent"
    MESSAGES = "messages"


class MessageMode(StrEnum):
    """How the agent's own steps show in the reply of the `agent` profile."""

    FORWARD = "forward"
    FORMATTED = "formatted"
    IGNORE = "ignore"


class Isolation(StrEnum):
    """How long a process serves: one call, or call after call of one project, rewound between them."""

    PROCESS = "process"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One call.

    `body` is the caller's request as parsed, never changed; `model` is the resolved id; `betas` are the caller's
    `anthropic-beta` values; `api_version` is its `anthropic-version`; `seconds` bounds the whole run. `files` are put into an
    agent's directory before: how each is read, by its path within it.
    """

    request_id: str
    project: str
    profile: Profile
    model: str
    body: Mapping[str, Any]
    betas: tuple[str, ...] = ()
    api_version: str = "2023-06-01"
    seconds: float = 600.0
    max_budget_usd: float | None = None
    files: Mapping[str, Callable[[], AsyncGenerator[bytes, None]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """An event of the model's stream, as the model's API sent it."""

    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolsRan:
    """Results of tools that the agent ran by itself: `tool_result` blocks, in their order."""

    results: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, however it ended.

    `usage` counts tokens by the API's own names, over all calls of the run; `cost_microusd` is in millionths of a dollar;
    `calls` is the number of calls to the model; `by_model` maps a model to its share of `usage`.
    """

    usage: Mapping[str, int] = field(default_factory=dict)
    cost_microusd: int = 0
    calls: int = 0
    by_model: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    warm: bool = False
    fallback: str | None = None


RunEvent = ModelEvent | ToolsRan


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The pool at one moment: processes by state, and counts since the start.

    `circuit` says whether calls go to the upstream: `closed` (they do), `open` (it keeps failing), `half_open` (one may try).
    """

    parked: int = 0
    idle: int = 0
    busy: int = 0
    held: int = 0
    starting: int = 0
    waiting: int = 0
    max_processes: int = 0
    started: int = 0
    reused: int = 0
    claimed: int = 0
    fallbacks: int = 0
    broken: int = 0
    served: int = 0
    circuit: str = "closed"
