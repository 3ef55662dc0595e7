"""Knows how an agent pays for each of its calls to the model, so that a loop ends where the money does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, Self

from pinnace.core.model.access import Principal
from pinnace.core.usecases.billing import Billing, Ticket, amount_of
from pinnace.core.usecases.bounds import bound_of

#: Seconds within which the end of a run's last call is noticed.
NOTICE = 3.0


class AgentToll:
    """`Toll` of one run, which encloses it; `by_model` is what its calls used so far, and `calls` how many there were."""

    def __init__(self, billing: Billing, principal: Principal, request_id: str, seconds: float) -> None:
        self._billing, self._principal, self._name, self._seconds = billing, principal, request_id, seconds
        self._numbers = itertools.count(1)
        self._tickets: dict[str, tuple[Ticket, str]] = {}
        self.by_model: dict[str, dict[str, int]] = {}
        self.calls = 0
        self._settled = asyncio.Event()
        self._settled.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Wait for what is not paid for yet: that a call is cut off is noticed where it passes, after its run has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NOTICE):
                await self._settled.wait()

    @property
    def binding(self) -> bool:
        key = self._principal.key
        return self._principal.project.budget.binding or (key is not None and key.budget.binding)

    async def enter(self, body: Mapping[str, Any]) -> str:
        name, model = f"{self._name}.{next(self._numbers)}", str(body.get("model", ""))
        ticket = await self._billing.reserve(name, self._principal, model, bound_of(body), self._seconds)
        self._tickets[name] = (ticket, model)
        self._settled.clear()
        self.calls += 1
        return name

    async def leave(self, ticket: str, usage: Mapping[str, int]) -> None:
        held, model = self._tickets[ticket]
        total = self.by_model.setdefault(model, {})
        for kind, count in usage.items():
            total[kind] = total.get(kind, 0) + count
        used, _ = self._billing.price({model: usage})
        try:
            await self._billing.settle(held, amount_of(used))
        finally:
            del self._tickets[ticket]
            if not self._tickets:
                self._settled.set()
