"""Knows what a ledger promises: nothing is overspent, and everything is counted once."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path

import pytest
from crowds import in_processes, in_threads
from hammer import ACCOUNT as SHARED_ACCOUNT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import KINDS

from pinnace.core.errors import BudgetExceeded
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.stores.tenancy import Stores

MONTH = Account("project:p", "2026-11")
TOTAL = Account("project:p", "all")
KEY = Account("key:k", "2026-11")


def reservation(name: str = "r1", microusd: int = 10, tokens: int = 1, *accounts: Account) -> Reservation:
    return Reservation(name, Amount(microusd, tokens), accounts or (MONTH,), expires_at=100.0)


def caps(*limits: tuple[Account, int | None, int | None]) -> list[Cap]:
    return [Cap(account, microusd, tokens) for account, microusd, tokens in limits]


NONE = caps((MONTH, None, None))


async def balance(stores: Stores, account: Account = MONTH) -> Balance:
    (held,) = await stores.ledger.balances([account])
    return held


async def test_what_was_never_used_holds_nothing(stores: Stores) -> None:
    assert await stores.ledger.balances([MONTH, KEY]) == [Balance(), Balance()]
    assert await stores.ledger.balances([]) == []


async def test_a_reservation_is_held_until_it_is_settled(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(microusd=10, tokens=4), NONE)
    assert await balance(stores) == Balance(Amount(), Amount(10, 4))
    assert await stores.ledger.settle("r1", Amount(7, 3)) == [Balance(Amount(7, 3), Amount())]
    assert await balance(stores) == Balance(Amount(7, 3), Amount())


async def test_a_settlement_counts_once(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(), NONE)
    assert await stores.ledger.settle("r1", Amount(7, 3)) is not None
    assert await stores.ledger.settle("r1", Amount(7, 3)) is None
    assert (await balance(stores)).spent == Amount(7, 3)


async def test_what_was_never_reserved_cannot_be_settled(stores: Stores) -> None:
    assert await stores.ledger.settle("nobody", Amount(1, 1)) is None
    assert await balance(stores) == Balance()


async def test_an_id_is_reserved_once(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(), NONE)
    await stores.ledger.reserve(reservation(), NONE)
    assert (await balance(stores)).reserved == Amount(10, 1)


async def test_more_than_was_reserved_is_counted_in_full(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(microusd=10), caps((MONTH, 10, None)))
    await stores.ledger.settle("r1", Amount(25, 9))
    assert (await balance(stores)).spent == Amount(25, 9)


@pytest.mark.parametrize(
    ("cap", "unit", "left", "needed"),
    [((MONTH, 19, None), "usd", "0.000009", "0.000010"), ((MONTH, None, 7), "tokens", 3, 4)],
)
async def test_what_does_not_fit_is_refused_by_the_budgets_name(
    stores: Stores, cap: tuple[Account, int | None, int | None], unit: str, left: object, needed: object
) -> None:
    await stores.ledger.reserve(reservation("r1", 10, 4), caps(cap))
    with pytest.raises(BudgetExceeded) as caught:
        await stores.ledger.reserve(reservation("r2", 10, 4), caps(cap))
    assert caught.value.details["budget"] == {"of": "project", "period": "2026-11", "unit": unit}
    assert (caught.value.details["left"], caught.value.details["needed"]) == (left, needed)
    assert caught.value.details["renews_at"] == "2026-12-01T00:00:00Z"
    assert (await balance(stores)).reserved == Amount(10, 4)


async def test_what_fits_exactly_is_admitted(stores: Stores) -> None:
    await stores.ledger.reserve(reservation("r1", 10, 4), caps((MONTH, 20, 8)))
    await stores.ledger.reserve(reservation("r2", 10, 4), caps((MONTH, 20, 8)))
    assert (await balance(stores)).reserved == Amount(20, 8)


async def test_a_soft_cap_refuses_nothing(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(microusd=10), [Cap(MONTH, 1, 0, hard=False)])
    assert (await balance(stores)).reserved == Amount(10, 1)


async def test_every_account_is_taken_from_or_none(stores: Stores) -> None:
    bounds = caps((MONTH, None, None), (TOTAL, 15, None), (KEY, None, None))
    await stores.ledger.reserve(reservation("r1", 10, 1, MONTH, TOTAL, KEY), bounds)
    with pytest.raises(BudgetExceeded):
        await stores.ledger.reserve(reservation("r2", 10, 1, MONTH, TOTAL, KEY), bounds)
    held = await stores.ledger.balances([MONTH, TOTAL, KEY])
    assert [one.reserved for one in held] == [Amount(10, 1)] * 3
    assert await stores.ledger.settle("r2", Amount(1, 1)) is None
    assert await stores.ledger.settle("r1", Amount(3, 1)) == [Balance(Amount(3, 1), Amount())] * 3


async def test_what_expired_is_settled_once(stores: Stores) -> None:
    await stores.ledger.reserve(reservation("late"), NONE)
    await stores.ledger.reserve(Reservation("early", Amount(5, 5), (MONTH,), expires_at=200.0), NONE)
    assert await stores.ledger.expired(100.0) == []
    assert [lost.id for lost in await stores.ledger.expired(100.1)] == ["late"]
    assert await stores.ledger.settle("late", Amount(10, 1)) is not None
    assert await stores.ledger.expired(100.1) == []
    assert await balance(stores) == Balance(Amount(10, 1), Amount(5, 5))
    assert await stores.ledger.settle("late", Amount(1, 1)) is None


async def test_expired_reservations_are_given_as_they_were_made_the_oldest_first(stores: Stores) -> None:
    bounds = caps((MONTH, None, None), (KEY, None, None))
    made = [
        Reservation(f"r{moment}", Amount(10, moment), (MONTH, KEY), expires_at=float(moment)) for moment in (30, 10, 20)
    ]
    for one in made:
        await stores.ledger.reserve(one, bounds)
    assert await stores.ledger.expired(1_000.0) == [made[1], made[2], made[0]]


def test_threads_never_overspend_and_end_with_what_was_used(stores: Stores) -> None:
    cap = caps((MONTH, 1_000, None), (KEY, None, 400))

    async def work(number: int) -> bool:
        held = reservation(f"r{number}", 10, 2, MONTH, KEY)
        try:
            await stores.ledger.reserve(held, cap)
        except BudgetExceeded:
            return False
        (month, key) = await stores.ledger.balances([MONTH, KEY])
        assert month.committed.microusd <= 1_000
        assert key.committed.tokens <= 400
        await stores.ledger.settle(held.id, Amount(7, 2))
        return True

    done = in_threads(work, 300)
    month, key = asyncio.run(_two(stores))
    assert month == key == Balance(Amount(7 * done, 2 * done), Amount())
    # The last of them is refused only where less than one reservation is left.
    assert done >= min(300, (1_000 - 50 * 10) // 7, (400 - 50 * 2) // 2)


async def _two(stores: Stores) -> tuple[Balance, Balance]:
    month, key = await stores.ledger.balances([MONTH, KEY])
    return month, key


def test_one_reservation_is_settled_once_by_fifty_threads(stores: Stores) -> None:
    asyncio.run(_reserve(stores))

    async def work(_number: int) -> bool:
        return await stores.ledger.settle("r1", Amount(7, 1)) is not None

    assert in_threads(work, 50) == 1
    assert asyncio.run(balance(stores)) == Balance(Amount(7, 1), Amount())


async def _reserve(stores: Stores) -> None:
    await stores.ledger.reserve(reservation(), NONE)


def test_processes_never_overspend_and_end_with_what_was_used(shared: tuple[str, Path]) -> None:
    kind, place = shared
    done = in_processes(kind, place, "reserve")
    assert 0 < done < 4 * 60
    held = asyncio.run(balance(KINDS[kind](place), SHARED_ACCOUNT))
    assert held == Balance(Amount(7 * done, done), Amount())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), limit=st.integers(0, 300), total=st.integers(0, 300))
async def test_no_order_of_calls_cancels_and_crashes_overspends(
    stores: Stores, seed: int, limit: int, total: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    own = uuid.uuid4().hex
    month, everything = Account(f"project:{own}", "2026-11"), Account(f"project:{own}", "all")
    bounds = [Cap(month, limit, None), Cap(everything, None, total)]
    spent, running, crashed = Amount(), dict[str, Amount](), dict[str, Amount]()
    for number in range(60):
        step = chance.random()
        if step < 0.5:
            bound = Amount(chance.randint(0, 60), chance.randint(0, 60))
            held = Reservation(f"{own}-{number}", bound, (month, everything), expires_at=float(number))
            try:
                await stores.ledger.reserve(held, bounds)
            except BudgetExceeded:
                wanted = sum([*running.values(), *crashed.values(), bound], spent)
                assert wanted.microusd > limit or wanted.tokens > total
            else:
                running[held.id] = bound
        elif step < 0.85 and running:
            name = chance.choice(sorted(running))
            bound = running.pop(name)
            used = Amount(chance.randint(0, bound.microusd), chance.randint(0, bound.tokens))
            assert await stores.ledger.settle(name, used) is not None
            spent += used
        elif running:
            name = chance.choice(sorted(running))
            crashed[name] = running.pop(name)
        held_month, held_total = await stores.ledger.balances([month, everything])
        assert held_month.committed.microusd <= limit
        assert held_total.committed.tokens <= total
    for name, bound in running.items():
        await stores.ledger.settle(name, bound)
        spent += bound
    for lost in await stores.ledger.expired(1_000.0):
        await stores.ledger.settle(lost.id, lost.amount)
    presumed = sum(crashed.values(), Amount())
    assert await stores.ledger.balances([month, everything]) == [Balance(spent + presumed, Amount())] * 2
