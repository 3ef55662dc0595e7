"""Knows that each item of a batch is run by one, has one result, and that a batch ends once with all that it had."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pinnace.core.model.batches import (
    ABANDONED,
    KEPT,
    LIFETIME,
    Batch,
    BatchItem,
    Claim,
    ClaimState,
    Counts,
    ItemResult,
    Task,
    Verdict,
)
from pinnace.core.ports import Batches

NOW = 1_800_000_000.0
FINE, BAD = (
    ItemResult(Verdict.SUCCEEDED, b'{"type":"succeeded"}', 7),
    ItemResult(Verdict.ERRORED, b'{"type":"errored"}'),
)
TAKEN = ClaimState.TAKEN


def task(number: int = 0, batch_id: str = "b", project_id: str = "p") -> Task:
    return Task(project_id, batch_id, BatchItem(number, f"item-{number}", number * 10, 10))


async def begun(batches: Batches, batch_id: str = "b", total: int = 3, **fields: Any) -> Batch:
    known: dict[str, Any] = {"project_id": "p", "id": batch_id, "created_at": NOW, "expires_at": NOW + LIFETIME}
    made = Batch(**known | fields)
    assert await batches.add(made) is None
    await batches.open(replace(made, total=total))
    found = await batches.find(made.project_id, batch_id)
    assert found is not None
    return found


async def test_a_batch_comes_back_as_it_was(batches: Batches) -> None:
    found = await begun(batches, key_id="k", betas=("one", "two"), api_version="v", fingerprint="f")
    assert (found.total, found.is_ready, found.key_id) == (3, True, "k")
    assert (found.betas, found.api_version, found.fingerprint) == (("one", "two"), "v", "f")
    assert await batches.find("other", "b") is None


async def test_an_id_that_is_taken_gives_what_is_there(batches: Batches) -> None:
    first = await begun(batches, fingerprint="f")
    assert await batches.add(replace(first, fingerprint="g")) == first
    assert await batches.add(replace(first, project_id="other")) is None


async def test_of_many_who_want_an_item_one_has_it(batches: Batches) -> None:
    await begun(batches)
    claims = await asyncio.gather(*(batches.claim(task(), f"w{one}", NOW, NOW + 60) for one in range(50)))
    assert [claim.state for claim in claims].count(TAKEN) == 1
    assert {claim.state for claim in claims} == {TAKEN, ClaimState.HELD}


async def test_who_died_holds_an_item_no_longer_than_it_said_and_that_was_a_try(batches: Batches) -> None:
    await begun(batches)
    assert await batches.claim(task(), "dead", NOW, NOW + 60) == Claim(TAKEN, 1)
    assert (await batches.claim(task(), "heir", NOW + 59, NOW + 99)).state is ClaimState.HELD
    assert await batches.claim(task(), "heir", NOW + 60, NOW + 99) == Claim(TAKEN, 2)
    assert not await batches.hold(task(), "dead", NOW + 999)
    assert await batches.hold(task(), "heir", NOW + 200)
    assert await batches.running("p", "b", NOW + 199) == 1
    assert await batches.running("p", "b", NOW + 200) == 0


async def test_an_item_that_is_given_back_was_a_try_or_was_none(batches: Batches) -> None:
    await begun(batches)
    await batches.claim(task(), "w", NOW, NOW + 60)
    await batches.release(task(), "another")
    await batches.release(task(), "w", counts=False)
    assert await batches.claim(task(), "w", NOW, NOW + 60) == Claim(TAKEN, 1)
    await batches.release(task(), "w")
    assert await batches.claim(task(), "w", NOW, NOW + 60) == Claim(TAKEN, 2)


async def test_the_first_result_stays_and_is_counted_once(batches: Batches) -> None:
    await begun(batches)
    await batches.claim(task(), "w", NOW, NOW + 60)
    given = [FINE if one % 2 else BAD for one in range(20)]
    counted = await asyncio.gather(*(batches.finish(task(), result) for result in given))
    (won,) = [result for result, batch in zip(given, counted, strict=True) if batch is not None]
    found = await batches.find("p", "b")
    assert found is not None
    assert (found.counts.done, found.microusd) == (1, won.microusd)
    assert [pair async for pair in batches.results("p", "b")] == [(0, won)]
    assert (await batches.claim(task(), "w", NOW, NOW + 60)).state is ClaimState.DONE
    assert await batches.running("p", "b", NOW) == 0


async def test_results_come_in_the_order_of_their_items_however_many_there_are(batches: Batches) -> None:
    await begun(batches, total=220)
    for number in sorted(range(220), key=lambda one: (one * 7919) % 220):
        await batches.finish(task(number), ItemResult(Verdict.SUCCEEDED, str(number).encode()))
    found = [(number, int(result.document)) async for number, result in batches.results("p", "b")]
    assert found == [(number, number) for number in range(220)]


@pytest.mark.parametrize("why", ["not ready", "cancelled", "expired", "ended", "another project's", "gone"])
async def test_nothing_begins_in_a_batch_that_takes_nothing(batches: Batches, why: str) -> None:
    batch = await begun(batches)
    asked, now = task(), NOW
    if why == "not ready":
        await batches.add(replace(batch, id="raw", is_ready=False))
        asked = task(batch_id="raw")
    elif why == "cancelled":
        await batches.cancel("p", "b", NOW)
    elif why == "expired":
        now = NOW + LIFETIME
    elif why == "ended":
        await batches.end(batch, Counts(), 0, NOW)
    elif why == "gone":
        await batches.remove(batch)
    else:
        asked = task(project_id="other")
    assert (await batches.claim(asked, "w", now, now + 60)).state is ClaimState.CLOSED
    if why in ("ended", "gone", "another project's"):
        assert await batches.finish(asked, FINE) is None


async def test_a_batch_is_cancelled_once_and_what_runs_may_still_end(batches: Batches) -> None:
    await begun(batches)
    await batches.claim(task(), "w", NOW, NOW + 60)
    cancelled = await batches.cancel("p", "b", NOW + 1)
    assert cancelled is not None
    assert cancelled.cancel_at == NOW + 1
    assert (await batches.cancel("p", "b", NOW + 2)) == cancelled
    assert await batches.finish(task(), FINE) is not None
    assert await batches.cancel("other", "b", NOW) is None


async def test_a_batch_ends_once(batches: Batches) -> None:
    batch = await begun(batches)
    await batches.finish(task(), FINE)
    counts = Counts(succeeded=1, canceled=2)
    ends = await asyncio.gather(*(batches.end(batch, counts, 99, NOW + 5) for _ in range(10)))
    assert ends.count(True) == 1
    found = await batches.find("p", "b")
    assert found is not None
    assert (found.counts, found.results_size, found.ended_at) == (counts, 99, NOW + 5)
    await batches.tidy(batch)
    assert [pair async for pair in batches.results("p", "b")] == []
    assert (await batches.cancel("p", "b", NOW + 9)) == found


async def test_a_batch_does_not_end_without_a_result_that_came_meanwhile(batches: Batches) -> None:
    batch = await begun(batches)
    await batches.cancel("p", "b", NOW)
    await batches.finish(task(), FINE)
    assert not await batches.end(batch, Counts(canceled=3), 99, NOW)
    assert await batches.end(batch, Counts(succeeded=1, canceled=2), 99, NOW)


async def test_pages_show_what_is_ready_the_newest_first(batches: Batches) -> None:
    for number in range(5):
        await begun(batches, f"b{number}", created_at=NOW + number // 2)
    await batches.add(Batch("p", "raw", NOW, NOW + 1))
    await begun(batches, "foreign", project_id="other")
    ids = [batch.id for batch in await batches.page("p", 9)]
    assert ids == ["b4", "b3", "b2", "b1", "b0"]
    assert [batch.id for batch in await batches.page("p", 2, after="b3")] == ["b2", "b1"]
    assert [batch.id for batch in await batches.page("p", 2, before="b1")] == ["b3", "b2"]
    assert [batch.id for batch in await batches.page("p", 2, before="b4")] == []
    assert await batches.page("p", 2, after="foreign") == []


async def test_what_somebody_must_look_after_is_found(batches: Batches) -> None:
    async def due(now: float) -> set[str]:
        return {batch.id for batch in await batches.due(now, 10)}

    await begun(batches, "running")
    done = await begun(batches, "done", total=1)
    await batches.finish(task(batch_id="done"), FINE)
    await begun(batches, "cancelled")
    await batches.cancel("p", "cancelled", NOW)
    await batches.add(Batch("p", "raw", NOW, NOW + LIFETIME))
    assert await due(NOW) == {"done", "cancelled"}
    assert await due(NOW + ABANDONED) == {"done", "cancelled", "raw"}
    assert await due(NOW + LIFETIME) == {"running", "done", "cancelled", "raw"}
    await batches.end(done, Counts(succeeded=1), 9, NOW)
    assert "done" not in await due(NOW + KEPT - 1)
    assert "done" in await due(NOW + KEPT)
    await batches.archive(done, NOW + KEPT)
    assert "done" not in await due(NOW + KEPT)


async def test_what_is_removed_is_gone_and_its_id_is_free(batches: Batches) -> None:
    batch = await begun(batches)
    await batches.finish(task(), FINE)
    await batches.remove(batch)
    assert await batches.find("p", "b") is None
    await begun(batches)
    assert [pair async for pair in batches.results("p", "b")] == []
