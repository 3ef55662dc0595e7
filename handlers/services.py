"""Knows what the endpoints are given to work with; it must not know who made it."""

from __future__ import annotations

from dataclasses import dataclass

from pinnace.core.ports import AgentRunner, Clock, TokenCounter
from pinnace.core.settings import Settings
from pinnace.handlers.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """The ports and the settings that every endpoint works with."""

    settings: Settings
    runner: AgentRunner
    counter: TokenCounter
    clock: Clock
    metrics: Metrics
    version: str
