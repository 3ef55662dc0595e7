"""Knows how a call's price is bounded, reserved and settled, and that somebody is told; it must not know HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pinnace.core.errors import BillingRefused
from pinnace.core.model.access import Principal
from pinnace.core.model.alerts import BudgetAlert, alerts_of
from pinnace.core.model.ledger import Amount, Cap, Reservation, caps_of
from pinnace.core.model.usage import Use
from pinnace.core.ports import Clock, Ledger, Prices
from pinnace.core.usecases.bounds import Bound
from pinnace.core.usecases.cancelling import surely

log = logging.getLogger("pinnace.budget")

#: Seconds that a reservation outlives the longest call.
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """One reservation: who pays, under which caps, and what it was settled with."""

    principal: Principal
    reservation: Reservation
    caps: Sequence[Cap]


@dataclass(frozen=True, slots=True)
class Billing:
    """Money and tokens, reserved before a call and settled after it; each of `listeners` hears of each alert at once."""

    ledger: Ledger
    prices: Prices
    clock: Clock
    unpriced: bool = False
    listeners: Sequence[Callable[[BudgetAlert], None]] = ()

    async def reserve(self, name: str, principal: Principal, model: str, bound: Bound, seconds: float) -> Ticket:
        """Take the most that a call can use.

        Args:
            name: An id that no other reservation has.
            principal: Who pays.
            model: The model's id.
            bound: What the call can use at most.
            seconds: How long it may take.

        Raises:
            BudgetExceeded: a hard budget has not enough left.
            BillingRefused: there is a budget in dollars, and the model has no price.
        """
        caps = self.caps(principal, self.clock.now())
        if bound.rounds is None and any(cap.hard and not cap.is_open for cap in caps):
            raise BillingRefused(
                "A tool that the model's API runs by itself has no max_uses, so nothing bounds what this call can cost: give "
                "it one, or have the budget only warn."
            )
        rounds = bound.rounds or 1
        window = self.prices.context_window(model) * rounds
        read = window if bound.input is None else min(bound.input, window)
        written = bound.output * rounds
        cost = self.prices.bound(model, read, written, cache=bound.cache)
        if cost is not None and bound.searches:
            cost += self.prices.cost(model, {"web_search_requests": bound.searches}) or 0
        if cost is None and self._in_dollars(principal) and not self.unpriced:
            raise BillingRefused(
                f"There is no price for {model}, and this project has a budget in dollars: choose another model, give it "
                "a price (prices.file), or allow it (prices.allow_unpriced)."
            )
        now = self.clock.now()
        amount = Amount(cost or 0, read + written)
        reservation = Reservation(name, amount, tuple(cap.account for cap in caps), now + seconds + GRACE)
        ticket = Ticket(principal, reservation, caps)
        await surely(self.ledger.reserve(reservation, caps), lambda: self.settle(ticket, Amount()))
        return ticket

    async def settle(self, ticket: Ticket, used: Amount) -> None:
        """Put what was used in the place of what was reserved, and tell who asked to be told."""
        balances = await self.ledger.settle(ticket.reservation.id, used)
        if balances is None:
            log.error("a reservation had expired before its call ended", extra={"reservation": ticket.reservation.id})
            return
        for cap, balance in zip(ticket.caps, balances, strict=True):
            self.tell(alerts_of(cap, balance, used))

    def tell(self, alerts: Iterable[BudgetAlert]) -> None:
        """Log alerts, and hand them to who listens."""
        for alert in alerts:
            fields: dict[str, object] = {
                "owner": alert.account.owner,
                "period": alert.account.period,
                "unit": alert.unit,
            }
            fields |= {"limit": alert.limit, "spent": alert.spent, "share": alert.share}
            log.warning("a budget reached a threshold", extra=fields)
            for listener in self.listeners:
                listener(alert)

    async def charge(self, name: str, principal: Principal, used: Amount) -> None:
        """Count what was used by a run that could not be bounded; only budgets that warn come this way."""
        caps = tuple(replace(cap, hard=False) for cap in self.caps(principal, self.clock.now()))
        reservation = Reservation(name, Amount(), tuple(cap.account for cap in caps), self.clock.now() + GRACE)
        await self.ledger.reserve(reservation, caps)
        await self.settle(Ticket(principal, reservation, caps), used)

    def price(self, by_model: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, Use], bool]:
        """What was used of each model with its cost; the second value says whether every model has a price."""
        costs = {model: self.prices.cost(model, usage) for model, usage in by_model.items()}
        used = {model: Use(dict(usage), costs[model] or 0) for model, usage in by_model.items()}
        return used, None not in costs.values()

    @staticmethod
    def caps(principal: Principal, now: float) -> tuple[Cap, ...]:
        """The accounts that a call of this principal goes to."""
        project = caps_of(f"project:{principal.project_id}", principal.project.budget, now)
        key = principal.key
        return (*project, *(caps_of(f"key:{key.id}", key.budget, now) if key else ()))

    @staticmethod
    def _in_dollars(principal: Principal) -> bool:
        key = principal.key
        return principal.project.budget.in_dollars or (key is not None and key.budget.in_dollars)


def amount_of(used: Mapping[str, Use]) -> Amount:
    """The sum over all models."""
    return Amount(sum(use.microusd for use in used.values()), sum(use.total_tokens for use in used.values()))
