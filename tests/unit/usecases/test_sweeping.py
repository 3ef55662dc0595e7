"""Knows that what the dead left behind is settled again and again, also after the store was away, and that owners are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from clocks import HandClock

from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.adapters.prices import PriceList
from pinnace.core.errors import StoreFailed
from pinnace.core.model.access import Budget, Key, Project
from pinnace.core.model.alerts import BudgetAlert
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.usecases.billing import Billing
from pinnace.core.usecases.sweeping import sweep, sweep_forever

#: The HandClock stands in January 1970.
MONTH, EARLIER, KEY = Account("project:p", "1970-01"), Account("project:p", "1969-12"), Account("key:k", "all")


class FailingLedger(MemoryLedger):
    """A ledger that cannot be read at first; `idle` says that there was nothing left to sweep."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.idle = asyncio.Event()

    async def expired(self, now: float) -> Sequence[Reservation]:
        if self.failures:
            self.failures -= 1
            raise StoreFailed("the store is away")
        found = await super().expired(now)
        if not found:
            self.idle.set()
        return found


def billing(ledger: MemoryLedger, heard: list[BudgetAlert] | None = None) -> Billing:
    listeners = () if heard is None else (heard.append,)
    return Billing(ledger, PriceList(), HandClock(), listeners=listeners)


async def test_sweeping_goes_on_after_the_store_was_away(caplog: pytest.LogCaptureFixture) -> None:
    ledger = FailingLedger(2)
    for name, expires_at in (("dead", 999.0), ("alive", 1_001.0)):
        await ledger.reserve(Reservation(name, Amount(10, 1), (MONTH,), expires_at), [Cap(MONTH)])
    sweeping = asyncio.create_task(sweep_forever(billing(ledger), MemoryDirectory(), every=0))
    await ledger.idle.wait()
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping
    assert await ledger.balances([MONTH]) == [Balance(Amount(10, 1), Amount(10, 1))]
    told = [(record.levelname, record.__dict__.get("reservation")) for record in caplog.records]
    assert told == [("ERROR", None), ("ERROR", None), ("WARNING", "dead")]


async def test_whose_budget_a_dead_call_used_up_is_told() -> None:
    ledger, directory, heard = MemoryLedger(), MemoryDirectory(), list[BudgetAlert]()
    await directory.add_project(Project("p", "P", 0.0, Budget(monthly_tokens=100)))
    await directory.add_key(Key("k", "p", "K", "digest", "hint", 0.0, budget=Budget(total_tokens=50)))
    accounts = (MONTH, EARLIER, KEY)
    for name in ("first", "second"):
        lost = Reservation(name, Amount(0, 45), accounts, 999.0)
        await ledger.reserve(lost, [Cap(account) for account in accounts])
    assert len(await sweep(billing(ledger, heard), directory)) == 2
    assert {(alert.account, alert.spent, alert.share) for alert in heard} == {
        (KEY, 45, 0.8),
        (KEY, 90, 1.0),
        (MONTH, 90, 0.8),
    }


async def test_two_who_sweep_at_once_settle_and_tell_once() -> None:
    ledger, directory, heard = MemoryLedger(), MemoryDirectory(), list[BudgetAlert]()
    await directory.add_project(Project("p", "P", 0.0, Budget(monthly_tokens=10)))
    for number in range(20):
        await ledger.reserve(Reservation(f"r{number}", Amount(0, 1), (MONTH,), 999.0), [Cap(MONTH)])
    by = billing(ledger, heard)
    settled = await asyncio.gather(*(sweep(by, directory) for _ in range(3)))
    assert sum(len(part) for part in settled) == 20
    assert [alert.share for alert in heard] == [0.5, 0.8, 1.0]
    assert await ledger.balances([MONTH]) == [Balance(Amount(0, 20), Amount())]


async def test_a_project_that_is_gone_stops_no_sweep() -> None:
    ledger = MemoryLedger()
    await ledger.reserve(Reservation("r", Amount(0, 1), (MONTH, KEY), 999.0), [Cap(MONTH), Cap(KEY)])
    assert len(await sweep(billing(ledger), MemoryDirectory())) == 1
