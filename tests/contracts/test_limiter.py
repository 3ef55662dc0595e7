"""Knows what a limiter promises: no more than the limit in any order of calls, and a wait that is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from crowds import in_processes, in_threads
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinnace.core.errors import RateLimited
from pinnace.core.model.limits import Lease, Meter, Take
from pinnace.core.stores.tenancy import Stores

NOW = 1_800_000_000.0


def take(units: int = 1, limit: int = 60, kind: str = "requests", name: str = "key") -> Take:
    return Take(name, kind, limit, units)


async def enter(stores: Stores, *takes: Take, at: float = 0.0, lease: Lease | None = None) -> list[Meter]:
    return list(await stores.limiter.enter(takes, NOW + at, lease))


async def refused(stores: Stores, *takes: Take, at: float = 0.0, lease: Lease | None = None) -> float:
    with pytest.raises(RateLimited) as caught:
        await enter(stores, *takes, at=at, lease=lease)
    return caught.value.retry_after


async def test_a_whole_limit_may_be_taken_at_once_and_no_more(stores: Stores) -> None:
    for left in range(59, -1, -1):
        (meter,) = await enter(stores, take())
        assert meter.remaining == left
    assert await refused(stores, take()) == pytest.approx(1.0)


async def test_what_was_waited_for_is_admitted(stores: Stores) -> None:
    await enter(stores, take(60))
    wait = await refused(stores, take(7))
    assert wait == pytest.approx(7.0)
    assert await refused(stores, take(7), at=wait - 0.01) > 0
    await enter(stores, take(7), at=wait)


async def test_a_limit_is_full_again_after_a_minute(stores: Stores) -> None:
    (meter,) = await enter(stores, take(60))
    assert meter == Meter("requests", 60, 0, 60.0)
    (meter,) = await enter(stores, take(60), at=60.0)
    assert meter.remaining == 0


async def test_what_is_larger_than_the_limit_takes_all_of_it(stores: Stores) -> None:
    (meter,) = await enter(stores, take(1_000))
    assert (meter.remaining, meter.reset) == (0, 60.0)
    assert await refused(stores, take(1_000)) == pytest.approx(60.0)


async def test_a_refusal_takes_nothing_from_any_limit(stores: Stores) -> None:
    await enter(stores, take(60, kind="tokens"))
    for _ in range(3):
        await refused(stores, take(60), take(kind="tokens"))
    (meter,) = await enter(stores, take(60))
    assert meter.remaining == 0


async def test_a_refusal_names_the_longest_wait(stores: Stores) -> None:
    await enter(stores, take(60), take(60, kind="tokens"))
    assert await refused(stores, take(2), take(30, kind="tokens")) == pytest.approx(30.0)


async def test_keys_and_kinds_do_not_share(stores: Stores) -> None:
    await enter(stores, take(60))
    await enter(stores, take(60, name="other"))
    await enter(stores, take(60, kind="tokens"))


async def test_what_was_not_used_is_given_back(stores: Stores) -> None:
    taken = take(50)
    await enter(stores, taken)
    await stores.limiter.leave([(taken, 10)], NOW)
    (meter,) = await enter(stores, take(0))
    assert meter.remaining == 50


async def test_what_was_used_beyond_is_a_debt(stores: Stores) -> None:
    taken = take(10)
    await enter(stores, taken)
    await stores.limiter.leave([(taken, 90)], NOW)
    assert await refused(stores, take()) == pytest.approx(31.0)


async def test_places_are_occupied_until_they_are_left(stores: Stores) -> None:
    leases = [Lease("key", f"call{number}", 2, NOW + 100) for number in range(3)]
    await enter(stores, lease=leases[0])
    await enter(stores, lease=leases[1])
    assert await refused(stores, lease=leases[2]) > 0
    for _ in range(2):
        await stores.limiter.leave([], NOW, leases[0])
    await enter(stores, lease=leases[2])
    assert await refused(stores, lease=leases[0]) > 0


async def test_a_place_that_nobody_left_is_free_in_the_end(stores: Stores) -> None:
    await enter(stores, lease=Lease("key", "lost", 1, NOW + 10))
    assert await refused(stores, at=9.9, lease=Lease("key", "next", 1, NOW + 20)) > 0
    await enter(stores, at=10.0, lease=Lease("key", "next", 1, NOW + 20))


async def test_a_call_without_a_place_takes_nothing(stores: Stores) -> None:
    await enter(stores, lease=Lease("key", "first", 1, NOW + 100))
    for _ in range(100):
        await refused(stores, take(60), lease=Lease("key", "second", 1, NOW + 100))
    await enter(stores, take(60))


async def test_a_call_that_comes_too_early_occupies_no_place(stores: Stores) -> None:
    await enter(stores, take(60))
    await refused(stores, take(), lease=Lease("key", "first", 1, NOW + 100))
    await enter(stores, lease=Lease("key", "second", 1, NOW + 100))


def test_threads_never_take_more_than_the_limit(stores: Stores) -> None:
    async def work(_number: int) -> bool:
        try:
            await enter(stores, take(), take(limit=1_000, kind="tokens"))
        except RateLimited:
            return False
        return True

    assert in_threads(work, 300) == 60


def test_threads_never_occupy_more_places_than_there_are(stores: Stores) -> None:
    async def work(number: int) -> bool:
        try:
            await enter(stores, lease=Lease("key", f"call{number}", 7, NOW + 100))
        except RateLimited:
            return False
        return True

    assert in_threads(work, 200) == 7


@pytest.mark.parametrize(("work", "admitted"), [("take", 60), ("occupy", 5)])
def test_processes_never_take_more_than_the_limit(shared: tuple[str, Path], work: str, admitted: int) -> None:
    kind, place = shared
    assert in_processes(kind, place, work) == admitted


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 500),
    calls=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500)), max_size=30),
    name=st.uuids(),
)
async def test_no_minute_has_more_than_a_full_bucket_and_what_flows_in(
    stores: Stores, limit: int, calls: list[tuple[float, int]], name: object
) -> None:
    moment, admitted = 0.0, list[tuple[float, int]]()
    for pause, units in calls:
        moment += pause
        asked = take(units, limit, name=str(name))
        try:
            await enter(stores, asked, at=moment)
        except RateLimited as error:
            await enter(stores, asked, at=moment + error.retry_after + 0.000_001)
            moment += error.retry_after + 0.000_001
        admitted.append((moment, min(units, limit)))
    for begin, _ in admitted:
        within = [(at, units) for at, units in admitted if at >= begin]
        for at, _ in within:
            taken = sum(units for when, units in within if when <= at)
            assert taken <= limit + (at - begin) * limit / 60 + 1e-3 * limit
