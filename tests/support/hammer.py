"""Knows how one of several processes hammers a store: `hammer.py KIND PLACE WORK TIMES`; it prints how often it succeeded."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from stores import KINDS

from pinnace.core.errors import BudgetExceeded, RateLimited
from pinnace.core.model.ledger import Account, Amount, Cap, Reservation
from pinnace.core.model.limits import Lease, Take
from pinnace.core.model.usage import UsageRecord, Use
from pinnace.core.stores.tenancy import Stores

ACCOUNT = Account("project:shared", "2026-11")
CAP = Cap(ACCOUNT, 1_000, None)
TAKE = Take("key", "requests", 60, 1)
NOW = 1_800_000_000.0


async def reserve(stores: Stores) -> bool:
    """Reserve 10 of 1,000 and spend 7."""
    reservation = Reservation(uuid.uuid4().hex, Amount(10, 1), (ACCOUNT,), NOW)
    try:
        await stores.ledger.reserve(reservation, [CAP])
    except BudgetExceeded:
        return False
    (before,) = await stores.ledger.balances([ACCOUNT])
    assert before.committed.microusd <= 1_000
    settled = await stores.ledger.settle(reservation.id, Amount(7, 1))
    assert settled is not None
    assert settled[0].committed.microusd <= 1_000
    return True


async def take(stores: Stores) -> bool:
    """Take one of 60 a minute; the minute stands still."""
    try:
        await stores.limiter.enter([TAKE], NOW)
    except RateLimited:
        return False
    return True


async def occupy(stores: Stores) -> bool:
    """Occupy one of 5 places, for good."""
    try:
        await stores.limiter.enter([], NOW, Lease("key", uuid.uuid4().hex, 5, NOW + 60))
    except RateLimited:
        return False
    return True


async def use(stores: Stores) -> bool:
    """Use three tokens."""
    used = {"claude-x": Use({"input_tokens": 1, "output_tokens": 2}, 5)}
    record = UsageRecord(uuid.uuid4().hex, NOW, "shared", None, "claude-x", "messages", "/", 200, None, used, 0.1)
    await stores.usage.add(record)
    return True


WORK: dict[str, Callable[[Stores], Awaitable[bool]]] = {"reserve": reserve, "take": take, "occupy": occupy, "use": use}


async def main(kind: str, place: str, work: str, times: int) -> int:
    stores = KINDS[kind](Path(place))
    done = sum([await WORK[work](stores) for _ in range(times)])
    await stores.close()
    return done


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))  # noqa: T201 - a program whose result is its output
