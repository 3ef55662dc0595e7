"""Knows money and tokens as they are reserved and spent, as frozen values; it must not know prices or stores.

An account is a project's or a key's, for one calendar month or for all time. A reservation takes an upper bound from several
accounts at once; its settlement puts what was used in the bound's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pinnace.core.errors import BudgetExceeded
from pinnace.core.model.access import Budget, BudgetMode

#: The period of what is bounded in all.
ALL_TIME = "all"


@dataclass(frozen=True, slots=True)
class Amount:
    """Millionths of a dollar, and tokens of every kind together."""

    microusd: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.microusd + other.microusd, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.microusd - other.microusd, self.tokens - other.tokens)


@dataclass(frozen=True, slots=True)
class Account:
    """Where is counted: `owner` is `project:ID` or `key:ID`, `period` is `2026-11` or `all`."""

    owner: str
    period: str

    @property
    def name(self) -> str:
        return f"{self.owner}#{self.period}"


@dataclass(frozen=True, slots=True)
class Cap:
    """What an account may hold, spent and reserved together; None is no bound. A `hard` one refuses, the other only warns."""

    account: Account
    microusd: int | None = None
    tokens: int | None = None
    hard: bool = True

    @property
    def is_open(self) -> bool:
        """Whether it bounds nothing."""
        return self.microusd is None and self.tokens is None


@dataclass(frozen=True, slots=True)
class Balance:
    """What is spent and what is reserved in an account at one moment."""

    spent: Amount = field(default_factory=Amount)
    reserved: Amount = field(default_factory=Amount)

    @property
    def committed(self) -> Amount:
        return self.spent + self.reserved


@dataclass(frozen=True, slots=True)
class Reservation:
    """An upper bound that is taken from each of `accounts` until it is settled, or until `expires_at` has passed."""

    id: str
    amount: Amount
    accounts: tuple[Account, ...]
    expires_at: float


def month_of(now: float) -> str:
    """The calendar month of a moment, in UTC: `2026-11`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


def next_month(now: float) -> datetime:
    """When the next calendar month begins."""
    present = datetime.fromtimestamp(now, UTC)
    year, month = (present.year + 1, 1) if present.month == 12 else (present.year, present.month + 1)  # noqa: PLR2004
    return datetime(year, month, 1, tzinfo=UTC)


def caps_of(owner: str, budget: Budget, now: float) -> tuple[Cap, Cap]:
    """The two accounts of an owner with what its budget says of them."""
    hard = budget.mode is BudgetMode.HARD
    month = Cap(Account(owner, month_of(now)), budget.monthly_microusd, budget.monthly_tokens, hard)
    return month, Cap(Account(owner, ALL_TIME), budget.total_microusd, budget.total_tokens, hard)


def check_caps(caps: Sequence[Cap], held: Sequence[Balance], amount: Amount) -> None:
    """Refuse what a hard cap does not admit on top of what its account holds.

    Raises:
        BudgetExceeded: it names the first such cap.
    """
    for cap, balance in zip(caps, held, strict=True):
        if not cap.hard:
            continue
        wanted = balance.committed + amount
        for unit, limit, committed, needed in (
            ("usd", cap.microusd, wanted.microusd, amount.microusd),
            ("tokens", cap.tokens, wanted.tokens, amount.tokens),
        ):
            if limit is not None and committed > limit:
                left = limit - (committed - needed)
                raise BudgetExceeded(
                    owner=cap.account.owner,
                    period=cap.account.period,
                    unit=unit,
                    limit=limit,
                    left=left,
                    needed=needed,
                )
