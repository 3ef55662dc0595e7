"""Knows what a store of usage promises: each call is counted once, into the totals of its project alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from crowds import in_processes, in_threads
from stores import KINDS

from pinnace.core.model.usage import UsageRecord, UsageTotal, Use
from pinnace.core.stores.tenancy import Stores

DAY = 86_400.0
NOON = 1_800_014_400.0
FIRST, NEXT = "2027-01-15", "2027-01-16"
USED = Use(
    {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 40,
    },
    5,
)
NOTHING = dict.fromkeys(USED.tokens, 0)


def record(request_id: str = "req_1", key_id: str | None = "key_1", at: float = NOON) -> UsageRecord:
    used = {"claude-x": USED}
    return UsageRecord(
        request_id, at, "prj_1", key_id, "claude-x", "messages", "/v1/messages", 200, None, used, 1.5, 0.2
    )


async def totals(stores: Stores, first: str = FIRST, last: str = NEXT, key_id: str | None = None) -> list[UsageTotal]:
    return list(await stores.usage.totals("prj_1", first, last, key_id))


async def test_calls_add_up_by_day_key_and_model(stores: Stores) -> None:
    await stores.usage.add(record("req_1"))
    await stores.usage.add(record("req_2"))
    await stores.usage.add(record("req_3", "key_2"))
    await stores.usage.add(record("req_4", None, NOON + DAY))
    await stores.usage.add(replace(record("req_5"), by_model={"claude-x": USED, "claude-y": USED}))
    assert await totals(stores) == [
        UsageTotal(FIRST, "key_1", "claude-x", 3, USED + USED + USED),
        UsageTotal(FIRST, "key_1", "claude-y", 1, USED),
        UsageTotal(FIRST, "key_2", "claude-x", 1, USED),
        UsageTotal(NEXT, None, "claude-x", 1, USED),
    ]
    assert [total.day for total in await totals(stores, NEXT, NEXT)] == [NEXT]
    assert [total.key_id for total in await totals(stores, key_id="key_2")] == ["key_2"]


async def test_a_call_counts_once(stores: Stores) -> None:
    for _ in range(3):
        await stores.usage.add(record())
    assert [total.requests for total in await totals(stores)] == [1]


async def test_a_call_that_reached_no_model_is_counted_with_nothing_used(stores: Stores) -> None:
    await stores.usage.add(replace(record(), by_model={}, status=429, error="rate_limit_error", first_delta=None))
    assert await totals(stores) == [UsageTotal(FIRST, "key_1", "claude-x", 1, Use(NOTHING))]


async def test_another_projects_calls_are_not_there(stores: Stores) -> None:
    await stores.usage.add(record())
    assert await stores.usage.totals("prj_2", FIRST, NEXT) == []
    assert await stores.usage.records("prj_2", 10) == []


async def test_records_come_back_as_they_were_given_the_latest_first(stores: Stores) -> None:
    first = record("req_1")
    second = replace(record("req_2", None), error="api_error", status=500, cost_known=False, first_delta=None)
    for one in (first, second):
        await stores.usage.add(one)
    assert await stores.usage.records("prj_1", 10) == [second, first]
    assert await stores.usage.records("prj_1", 1) == [second]


def test_no_call_of_many_threads_is_lost(stores: Stores) -> None:
    async def work(number: int) -> bool:
        await stores.usage.add(record(f"req_{number}"))
        return True

    in_threads(work, 300)
    (total,) = asyncio.run(totals(stores))
    assert (total.requests, total.use.total_tokens, total.use.microusd) == (300, 300 * 100, 300 * 5)


def test_no_call_of_many_processes_is_lost(shared: tuple[str, Path]) -> None:
    kind, place = shared
    done = in_processes(kind, place, "use")
    opened = KINDS[kind](place)
    (total,) = asyncio.run(_shared(opened))
    assert done == total.requests == 240
    assert (total.use.total_tokens, total.use.microusd) == (240 * 3, 240 * 5)


async def _shared(stores: Stores) -> list[UsageTotal]:
    found = list(await stores.usage.totals("shared", FIRST, NEXT))
    await stores.close()
    return found
