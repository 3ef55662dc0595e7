"""Knows what the endpoints are given to work with; it must not know who made it."""

from __future__ import annotations

from dataclasses import dataclass

from pinnace.core.ports import AccessLog, AgentRunner, Clock, TokenCounter
from pinnace.core.settings import Settings
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batching import BatchBook
from pinnace.core.usecases.calls import Calls
from pinnace.handlers.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, the ports and the settings that every endpoint works with."""

    settings: Settings
    runner: AgentRunner
    counter: TokenCounter
    clock: Clock
    metrics: Metrics
    access_log: AccessLog
    version: str
    access: Access
    calls: Calls
    batches: BatchBook
