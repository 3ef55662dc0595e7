"""Knows how reservations whose holders died are settled, and who is told; it must not know when a server runs it.

Nobody will ever say what their holders used. What may have been used must not be spent a second time, so it counts in full.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from pinnace.core.model.access import Budget
from pinnace.core.model.alerts import alerts_of
from pinnace.core.model.ledger import Account, Balance, Reservation, caps_of
from pinnace.core.ports import Directory
from pinnace.core.usecases.billing import Billing

log = logging.getLogger("pinnace.budget")

Sweeper = Callable[[], Awaitable[object]]


async def sweep(billing: Billing, directory: Directory) -> Sequence[Reservation]:
    """Settle what has expired in full, each once, and give what was settled here.

    Raises:
        StoreFailed: the rest stays for the next time.
    """
    settled = []
    for lost in await billing.ledger.expired(billing.clock.now()):
        balances = await billing.ledger.settle(lost.id, lost.amount)
        # Another server may have been first, or the holder lives after all.
        if balances is not None:
            log.warning("a reservation expired and counts as spent", extra={"reservation": lost.id})
            settled.append(lost)
            await _tell(billing, directory, lost, balances)
    return settled


async def sweep_forever(billing: Billing, directory: Directory, *more: Sweeper, every: float = 5.0) -> None:
    """Settle what the dead left behind, and run whatever else is to be done now and again and again."""

    async def settle() -> None:
        await sweep(billing, directory)

    while True:
        for sweeper in (settle, *more):
            try:
                await sweeper()
            except Exception:
                # Whatever it is, the others have their turn, and this one has its next.
                log.exception("what is over could not be swept")
        await asyncio.sleep(every)


async def _tell(billing: Billing, directory: Directory, lost: Reservation, balances: Sequence[Balance]) -> None:
    for account, balance in zip(lost.accounts, balances, strict=True):
        budget = await _budget(directory, account)
        for cap in caps_of(account.owner, budget, billing.clock.now()):
            # A month that has passed has no budget any more that anybody could mind.
            if cap.account == account:
                billing.tell(alerts_of(cap, balance, lost.amount))


async def _budget(directory: Directory, account: Account) -> Budget:
    kind, _, owner_id = account.owner.partition(":")
    owner = await (directory.project(owner_id) if kind == "project" else directory.any_key(owner_id))
    return Budget() if owner is None else owner.budget
