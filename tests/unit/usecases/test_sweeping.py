"""Knows that what the dead left behind is settled again and again, also after the store was away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.errors import StoreFailed
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.usecases.billing import sweep_forever

ACCOUNT = Account("project:p", "2026-11")


class FixedClock:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_000.0

    def monotonic(self) -> float:
        return 1_000.0


class FailingLedger(MemoryLedger):
    """A ledger that cannot be swept at first; `idle` says that there was nothing left to sweep."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.idle = asyncio.Event()

    async def sweep(self, now: float) -> Sequence[Reservation]:
        if self.failures:
            self.failures -= 1
            raise StoreFailed("the store is away")
        found = await super().sweep(now)
        if not found:
            self.idle.set()
        return found


async def test_sweeping_goes_on_after_the_store_was_away(caplog: pytest.LogCaptureFixture) -> None:
    ledger = FailingLedger(2)
    for name, expires_at in (("dead", 999.0), ("alive", 1_001.0)):
        await ledger.reserve(Reservation(name, Amount(10, 1), (ACCOUNT,), expires_at), [Cap(ACCOUNT)])
    sweeping = asyncio.create_task(sweep_forever(ledger, FixedClock(), every=0))
    await ledger.idle.wait()
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping
    assert await ledger.balances([ACCOUNT]) == [Balance(Amount(10, 1), Amount(10, 1))]
    told = [(record.levelname, record.__dict__.get("reservation")) for record in caplog.records]
    assert told == [("ERROR", None), ("ERROR", None), ("WARNING", "dead")]
