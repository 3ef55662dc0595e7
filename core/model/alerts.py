"""Knows when a budget's owner is told how much of it is spent, as frozen values; it must not know who is told, or how."""

from __future__ import annotations

from dataclasses import dataclass

from pinnace.core.model.ledger import Account, Amount, Balance, Cap

#: Shares of a budget at which somebody is told.
THRESHOLDS = (0.5, 0.8, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """A budget reached a share of its limit. `limit` and `spent` are in millionths of a dollar (`usd`) or in tokens."""

    account: Account
    unit: str
    limit: int
    spent: int
    share: float


def alerts_of(cap: Cap, balance: Balance, used: Amount) -> list[BudgetAlert]:
    """What a settlement of `used` that left this balance gives to tell.

    A settlement that crosses a threshold is the only one that does: settlements of an account follow one another.
    """
    found = []
    for unit, limit, spent, step in (
        ("usd", cap.microusd, balance.spent.microusd, used.microusd),
        ("tokens", cap.tokens, balance.spent.tokens, used.tokens),
    ):
        crossed = [share for share in THRESHOLDS if limit and spent - step < share * limit <= spent]
        if limit and crossed:
            found.append(BudgetAlert(cap.account, unit, limit, spent, crossed[-1]))
    return found
