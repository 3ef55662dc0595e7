"""Knows how a call's price is reserved and settled, which budgets it goes to, and who is told when one runs out."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from clocks import HandClock
from hypothesis import given
from hypothesis import strategies as st
from prices import TenAToken

from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.errors import BillingRefused, BudgetExceeded
from pinnace.core.model.access import ORDINARY, Budget, BudgetMode, Key, Principal, Project
from pinnace.core.model.ledger import Account, Amount, Balance, Cap
from pinnace.core.model.usage import Use
from pinnace.core.usecases.billing import GRACE, Billing, amount_of
from pinnace.core.usecases.bounds import Bound

NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()
DECEMBER = NOVEMBER + 2
#: At most 100 tokens in and 50 out.
SMALL = Bound(100, 50, None)
LOGGER = "pinnace.budget"


def billing(ledger: MemoryLedger | None = None, clock: HandClock | None = None, *, unpriced: bool = False) -> Billing:
    return Billing(ledger or MemoryLedger(), TenAToken(), clock or HandClock(NOVEMBER), unpriced)


def caller(budget: Budget | None = None, key_budget: Budget | None = None) -> Principal:
    project = Project("p", "P", 0.0, budget or Budget())
    key = Key("k", "p", "K", "digest", "hint", 0.0, budget=key_budget) if key_budget else None
    return Principal(project, ORDINARY, key)


async def held(by: Billing, owner: str = "project:p", period: str = "2026-11") -> Balance:
    (balance,) = await by.ledger.balances([Account(owner, period)])
    return balance


def told(caplog: pytest.LogCaptureFixture, *fields: str) -> list[tuple[object, ...]]:
    records = [record for record in caplog.records if record.name == LOGGER]
    return [tuple(record.__dict__[field] for field in fields) for record in records]


async def test_the_most_that_a_call_can_use_is_reserved_and_what_it_used_is_settled() -> None:
    by = billing()
    ticket = await by.reserve("r", caller(), "known", SMALL, 60.0)
    assert await held(by) == await held(by, period="all") == Balance(Amount(), Amount(1_500, 150))
    await by.settle(ticket, Amount(70, 7))
    assert await held(by) == await held(by, period="all") == Balance(Amount(70, 7), Amount())


async def test_a_call_with_a_key_goes_to_the_accounts_of_the_key_too() -> None:
    by = billing()
    ticket = await by.reserve("r", caller(key_budget=Budget()), "known", SMALL, 60.0)
    await by.settle(ticket, Amount(70, 7))
    for owner in ("project:p", "key:k"):
        for period in ("2026-11", "all"):
            assert await held(by, owner, period) == Balance(Amount(70, 7), Amount())


async def test_a_call_without_a_bound_reserves_the_models_window() -> None:
    by = billing()
    await by.reserve("r", caller(), "known", Bound(None, 50, None), 60.0)
    assert (await held(by)).reserved == Amount(10_500, 1_050)


async def test_no_call_reserves_more_input_than_its_model_reads() -> None:
    by = billing()
    await by.reserve("r", caller(), "known", Bound(10**9, 50, None), 60.0)
    assert (await held(by)).reserved == Amount(10_500, 1_050)


async def test_a_call_that_nothing_bounds_is_refused_where_a_budget_is_hard_alone() -> None:
    endless = Bound(None, 50, None, rounds=None)
    with pytest.raises(BillingRefused, match="max_uses"):
        await billing().reserve("r", caller(Budget(total_tokens=10**9)), "known", endless, 60.0)
    for budget in (Budget(total_tokens=10**9, mode=BudgetMode.WARN), Budget()):
        await billing().reserve("r", caller(budget), "known", endless, 60.0)


async def test_a_call_that_reads_its_context_again_and_again_reserves_for_each_time() -> None:
    by = billing()
    await by.reserve("r", caller(), "known", Bound(None, 50, None, rounds=3), 60.0)
    assert (await held(by)).reserved.tokens == 3 * 1_050


async def test_a_cache_that_may_be_written_is_reserved_for() -> None:
    by = billing()
    await by.reserve("r", caller(), "known", Bound(100, 50, "5m"), 60.0)
    assert (await held(by)).reserved == Amount(3_000, 150)


@pytest.mark.parametrize(
    ("project", "key", "owner"),
    [
        (Budget(monthly_microusd=1_499), None, "project"),
        (Budget(total_microusd=1_499), None, "project"),
        (Budget(monthly_tokens=149), None, "project"),
        (Budget(total_tokens=149), None, "project"),
        (Budget(monthly_microusd=1_500), Budget(monthly_microusd=1_499), "key"),
        (Budget(), Budget(total_tokens=149), "key"),
    ],
)
async def test_a_call_that_a_budget_has_no_room_for_is_refused_and_takes_nothing(
    project: Budget, key: Budget | None, owner: str
) -> None:
    by = billing()
    with pytest.raises(BudgetExceeded) as caught:
        await by.reserve("r", caller(project, key), "known", SMALL, 60.0)
    assert caught.value.details["budget"]["of"] == owner
    assert await held(by) == await held(by, "key:k") == Balance()


async def test_a_call_that_fits_exactly_is_admitted_and_the_next_is_not() -> None:
    by, principal = billing(), caller(Budget(monthly_microusd=1_500, monthly_tokens=150))
    await by.reserve("r1", principal, "known", SMALL, 60.0)
    with pytest.raises(BudgetExceeded):
        await by.reserve("r2", principal, "known", Bound(1, 1, None), 60.0)


async def test_a_budget_that_only_warns_refuses_nothing() -> None:
    by = billing()
    await by.reserve("r", caller(Budget(monthly_microusd=1, mode=BudgetMode.WARN)), "known", SMALL, 60.0)
    assert (await held(by)).reserved == Amount(1_500, 150)


@pytest.mark.parametrize(
    "principal",
    [
        caller(Budget(monthly_microusd=10**9)),
        caller(Budget(total_microusd=10**9)),
        caller(Budget(), Budget(monthly_microusd=10**9)),
    ],
)
async def test_a_model_without_a_price_is_refused_where_a_budget_is_in_dollars_unless_that_is_allowed(
    principal: Principal,
) -> None:
    with pytest.raises(BillingRefused, match="no price for unheard-of"):
        await billing().reserve("r", principal, "unheard-of", SMALL, 60.0)
    by = billing(unpriced=True)
    await by.reserve("r", principal, "unheard-of", SMALL, 60.0)
    assert (await held(by)).reserved == Amount(0, 150)


async def test_a_model_without_a_price_is_served_where_only_tokens_are_bounded() -> None:
    by = billing()
    await by.reserve("r", caller(Budget(monthly_tokens=150)), "unheard-of", SMALL, 60.0)
    assert (await held(by)).reserved == Amount(0, 150)


async def test_a_call_that_began_in_november_is_settled_in_november() -> None:
    clock = HandClock(NOVEMBER)
    by, principal = billing(clock=clock), caller(Budget(monthly_microusd=1_500))
    ticket = await by.reserve("r1", principal, "known", SMALL, 60.0)
    clock.time = DECEMBER
    await by.reserve("r2", principal, "known", SMALL, 60.0)
    await by.settle(ticket, Amount(70, 7))
    assert await held(by, period="2026-11") == Balance(Amount(70, 7), Amount())
    assert await held(by, period="2026-12") == Balance(Amount(), Amount(1_500, 150))
    assert await held(by, period="all") == Balance(Amount(70, 7), Amount(1_500, 150))


async def test_a_reservation_outlives_the_longest_call_and_no_more() -> None:
    by = billing()
    await by.reserve("r", caller(), "known", SMALL, 60.0)
    assert await by.ledger.expired(NOVEMBER + 60.0 + GRACE / 2) == []
    assert [lost.id for lost in await by.ledger.expired(NOVEMBER + 61.0 + GRACE)] == ["r"]


async def test_a_call_whose_reservation_expired_is_reported_and_not_counted_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by = billing()
    ticket = await by.reserve("r", caller(), "known", SMALL, 60.0)
    await by.ledger.settle("r", ticket.reservation.amount)
    await by.settle(ticket, Amount(70, 7))
    assert (await held(by)).spent == Amount(1_500, 150)
    assert told(caplog, "levelname", "reservation") == [("ERROR", "r")]


async def test_a_run_without_a_bound_is_charged_in_full_also_beyond_a_hard_budget() -> None:
    by = billing()
    await by.charge("r", caller(Budget(monthly_microusd=10), Budget(total_tokens=1)), Amount(70, 7))
    for owner in ("project:p", "key:k"):
        assert await held(by, owner) == await held(by, owner, "all") == Balance(Amount(70, 7), Amount())


async def test_a_charge_crosses_thresholds_like_any_settlement(caplog: pytest.LogCaptureFixture) -> None:
    await billing().charge("r", caller(Budget(monthly_microusd=100)), Amount(50, 0))
    assert told(caplog, "owner", "share") == [("project:p", 0.5)]


async def test_each_threshold_is_told_once_when_it_is_reached(caplog: pytest.LogCaptureFixture) -> None:
    by, principal = billing(), caller(Budget(monthly_microusd=100, mode=BudgetMode.WARN))
    told_at: dict[int, object] = {}
    for spent in range(1, 121):
        caplog.clear()
        await by.charge(f"r{spent}", principal, Amount(1, 1))
        for owner, period, unit, limit, counted, share in told(
            caplog, "owner", "period", "unit", "limit", "spent", "share"
        ):
            assert (owner, period, unit, limit, counted) == ("project:p", "2026-11", "usd", 100, spent)
            told_at[spent] = share
    assert told_at == {50: 0.5, 80: 0.8, 95: 0.95, 100: 1.0}


@pytest.mark.parametrize(("spent", "share"), [(49, None), (79, 0.5), (94, 0.8), (99, 0.95), (100, 1.0), (999, 1.0)])
async def test_a_call_that_crosses_several_thresholds_tells_the_highest(
    caplog: pytest.LogCaptureFixture, spent: int, share: float | None
) -> None:
    await billing().charge("r", caller(Budget(total_tokens=100)), Amount(0, spent))
    assert told(caplog, "period", "unit", "share") == ([("all", "tokens", share)] if share else [])


async def test_every_budget_that_reaches_a_threshold_is_told(caplog: pytest.LogCaptureFixture) -> None:
    principal = caller(
        Budget(monthly_microusd=100, total_tokens=200), Budget(monthly_microusd=1_000, total_microusd=100)
    )
    await billing().charge("r", principal, Amount(80, 100))
    assert set(told(caplog, "owner", "period", "unit", "share")) == {
        ("project:p", "2026-11", "usd", 0.8),
        ("project:p", "all", "tokens", 0.5),
        ("key:k", "all", "usd", 0.8),
    }


async def test_a_budget_of_nothing_and_none_at_all_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await billing().charge("r", caller(Budget(), Budget(monthly_microusd=0)), Amount(80, 100))
    assert told(caplog) == []


@given(st.lists(st.integers(0, 60), max_size=20), st.integers(1, 300))
async def test_no_order_of_calls_tells_a_threshold_twice_or_misses_the_last(steps: list[int], limit: int) -> None:
    shares: list[float] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shares.append(record.__dict__["share"])

    log, listening = logging.getLogger(LOGGER), Listening()
    log.addHandler(listening)
    try:
        by, principal = billing(), caller(Budget(total_microusd=limit))
        for number, step in enumerate(steps):
            await by.charge(f"r{number}", principal, Amount(step, 0))
    finally:
        log.removeHandler(listening)
    assert shares == sorted(set(shares))
    assert (1.0 in shares) == (sum(steps) >= limit)


def test_a_price_says_what_each_model_cost_and_whether_all_have_one() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4}
    assert billing().price({"known": usage}) == ({"known": Use(usage, 70)}, True)
    used, known = billing().price({"known": usage, "unheard-of": usage})
    assert (used, known) == ({"known": Use(usage, 70), "unheard-of": Use(usage, 0)}, False)
    assert amount_of(used) == Amount(70, 14)
    assert billing().price({}) == ({}, True)
    assert amount_of({}) == Amount()


def test_the_caps_of_a_call_are_its_projects_and_its_keys_by_month_and_in_all() -> None:
    principal = caller(Budget(1, 2, 3, 4), Budget(5, 6, 7, 8, BudgetMode.WARN))
    assert Billing.caps(principal, NOVEMBER) == (
        Cap(Account("project:p", "2026-11"), 1, 3, hard=True),
        Cap(Account("project:p", "all"), 2, 4, hard=True),
        Cap(Account("key:k", "2026-11"), 5, 7, hard=False),
        Cap(Account("key:k", "all"), 6, 8, hard=False),
    )
    assert [cap.account.period for cap in Billing.caps(caller(), DECEMBER)] == ["2026-12", "all"]
