"""Knows what is promised of batches in DynamoDB beyond the contract: few round trips, and that nothing is left or left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from batch_stores import tasks
from stores import dynamodb_items, dynamodb_table
from table_watch import Again, Died, Watch
from types_boto3_dynamodb import DynamoDBClient

from pinnace.core.adapters.dynamodb.batch_items import SHARDS
from pinnace.core.adapters.dynamodb.batch_results import AT_ONCE, FILES_AT_ONCE, BatchResults
from pinnace.core.adapters.dynamodb.batches import DynamoBatches
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.model.batches import KEPT, LIFETIME, Batch, Claim, ClaimState, Counts, ItemResult, Verdict

NOW = 1_800_000_000.0
FINE = ItemResult(Verdict.SUCCEEDED, b'{"type":"succeeded"}', 7)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def table(tmp_path: Path, watch: Watch) -> AsyncIterator[Table]:
    opened = dynamodb_table(tmp_path, watch)
    yield opened
    await opened.aclose()


@pytest.fixture
def stored(table: Table, tmp_path: Path) -> DynamoBatches:
    return DynamoBatches(table, LocalBlobs(tmp_path / "blobs"))


def files(place: Path) -> list[Path]:
    return [path for path in (place / "blobs").rglob("*") if path.is_file()]


async def begun(stored: DynamoBatches, batch_id: str = "b", total: int = 3, **fields: Any) -> Batch:
    made = replace(Batch("p", batch_id, NOW, NOW + LIFETIME), **fields)
    assert await stored.add(made) is None
    await stored.open(replace(made, total=total))
    return replace(made, total=total, is_ready=True)


async def test_what_an_item_costs_is_three_round_trips(stored: DynamoBatches, watch: Watch) -> None:
    await begun(stored)
    task = tasks(1)[0]
    watch.counted()
    await stored.claim(task, "w", NOW, NOW + 60)
    await stored.finish(task, FINE)
    assert watch.counted() == ["TransactWriteItems", "TransactWriteItems", "GetItem"]
    assert (await stored.claim(task, "w", NOW, NOW + 60)).state is ClaimState.DONE
    assert watch.counted() == ["TransactWriteItems"]


async def test_a_try_that_follows_another_takes_one_round_trip_more(stored: DynamoBatches, watch: Watch) -> None:
    await begun(stored)
    task = tasks(1)[0]
    await stored.claim(task, "w", NOW, NOW + 60)
    assert await stored.hold(task, "w", NOW + 90)
    await stored.release(task, "w")
    watch.counted()
    assert (await stored.claim(task, "w", NOW, NOW + 60)).tries == 2
    assert watch.counted() == ["TransactWriteItems"] * 2


async def test_what_a_batch_costs_beside_its_items_is_few_round_trips(stored: DynamoBatches, watch: Watch) -> None:
    batch = Batch("p", "b", NOW, NOW + LIFETIME, total=1)
    await stored.add(batch)
    assert watch.counted() == ["TransactWriteItems"]
    step = ["GetItem", "TransactWriteItems"]
    await stored.open(batch)
    assert watch.counted() == step
    await stored.find("p", "b")
    assert watch.counted() == ["GetItem"]
    await stored.running("p", "b", NOW)
    assert watch.counted() == ["Query"]
    await stored.page("p", 10)
    assert watch.counted() == ["Query", "BatchGetItem"]
    await stored.page("p", 10, after="b")
    assert watch.counted() == ["GetItem", "Query"]
    await stored.finish(tasks(1)[0], FINE)
    assert watch.counted() == ["TransactWriteItems", "GetItem", "TransactWriteItems"]
    assert len(await stored.due(NOW, 10)) == 1
    assert sorted(watch.counted()) == ["BatchGetItem"] + ["Query"] * SHARDS
    assert [pair async for pair in stored.results("p", "b")] == [(0, FINE)]
    assert watch.counted() == ["Query"]
    await stored.cancel("p", "b", NOW)
    await stored.end(batch, Counts(succeeded=1), 9, NOW)
    assert watch.counted() == step * 2
    await stored.tidy(batch)
    assert watch.counted() == ["Query", "Query", "BatchWriteItem"]
    await stored.archive(batch, NOW)
    assert watch.counted() == step
    await stored.remove(batch)
    assert watch.counted() == ["GetItem", "Query", "Query", *step]


async def test_batches_that_are_not_due_are_not_read(stored: DynamoBatches, watch: Watch) -> None:
    for number in range(30):
        await begun(stored, f"b{number}")
    watch.counted()
    assert await stored.due(NOW + 1, 20) == []
    assert watch.counted() == ["Query"] * SHARDS
    assert len(await stored.due(NOW + LIFETIME, 20)) == 20


async def test_of_results_at_once_the_last_one_makes_the_batch_due(stored: DynamoBatches) -> None:
    await begun(stored, total=12)
    counted = await asyncio.gather(*(stored.finish(task, FINE) for task in tasks(12)))
    assert all(batch is not None for batch in counted)
    (due,) = await stored.due(NOW, 10)
    assert (due.counts.succeeded, due.microusd) == (12, 84)


async def test_who_dies_before_a_transaction_leaves_nothing_half_done(stored: DynamoBatches, watch: Watch) -> None:
    batch = await begun(stored, total=1)
    watch.dies_at = "TransactWriteItems"
    for work in (
        lambda: stored.claim(tasks(1)[0], "w", NOW, NOW + 60),
        lambda: stored.finish(tasks(1)[0], FINE),
        lambda: stored.cancel("p", "b", NOW),
        lambda: stored.remove(batch),
    ):
        with pytest.raises(Died):
            await work()
    watch.dies_at = ""
    assert await stored.find("p", "b") == batch
    assert await stored.due(NOW, 10) == []


async def test_a_result_that_no_item_holds_lies_in_a_file_and_goes_with_its_batch(
    stored: DynamoBatches, tmp_path: Path
) -> None:
    large = ItemResult(Verdict.SUCCEEDED, os.urandom(500_000), 7)
    batch = await begun(stored, total=20)
    for number, task in enumerate(tasks(20)):
        await stored.finish(task, FINE if number % 2 else large)
    found = [result async for _, result in stored.results("p", "b")]
    assert found == [large, FINE] * 10
    assert len(files(tmp_path)) == 10 > FILES_AT_ONCE
    await stored.tidy(batch)
    assert files(tmp_path) == []


async def test_a_large_result_that_is_not_the_first_leaves_no_file(stored: DynamoBatches, tmp_path: Path) -> None:
    batch = await begun(stored)
    results = [ItemResult(Verdict.SUCCEEDED, os.urandom(100_000)) for _ in range(5)]
    kept = await asyncio.gather(*(stored.finish(tasks(1)[0], result) for result in results))
    assert sum(one is not None for one in kept) == 1
    assert len(files(tmp_path)) == 1
    await stored.end(batch, Counts(succeeded=1), 9, NOW)
    assert await stored.finish(tasks(2)[1], results[0]) is None
    assert len(files(tmp_path)) == 1


async def test_as_many_results_as_a_page_has_end_there(
    stored: DynamoBatches, watch: Watch, table: Table, tmp_path: Path
) -> None:
    await begun(stored)
    values = await BatchResults(table, LocalBlobs(tmp_path)).write(tasks(1)[0], FINE)
    made = {("results#p#b", f"{number:012}"): values for number in range(AT_ONCE)}
    await table.run(lambda items: items.put_many(made))
    watch.counted()
    assert len([number async for number, _ in stored.results("p", "b")]) == AT_ONCE
    assert watch.counted() == ["Query", "Query"]


async def test_nothing_is_left_of_what_is_removed(stored: DynamoBatches, tmp_path: Path) -> None:
    batches = [await begun(stored, f"b{number}") for number in range(3)]
    await stored.add(Batch("p", "raw", NOW, NOW + LIFETIME))
    await stored.claim(tasks(1, "b0")[0], "w", NOW, NOW + 60)
    await stored.finish(tasks(1, "b1")[0], ItemResult(Verdict.SUCCEEDED, os.urandom(100_000)))
    await stored.end(batches[2], Counts(), 0, NOW)
    await stored.archive(batches[2], NOW + KEPT)
    for batch in (*batches, Batch("p", "raw", NOW, NOW + LIFETIME)):
        await stored.remove(batch)
        await stored.remove(batch)
    assert dynamodb_items(tmp_path) == []
    assert files(tmp_path) == []


async def test_who_begins_an_item_and_does_not_hear_so_has_it(stored: DynamoBatches, tmp_path: Path) -> None:
    await begun(stored)
    table = dynamodb_table(tmp_path, through=lambda client: cast("DynamoDBClient", Again(client)))
    deaf = DynamoBatches(table, LocalBlobs(tmp_path / "blobs"))
    assert await deaf.claim(tasks(1)[0], "w", NOW, NOW + 60) == Claim(ClaimState.TAKEN, 1)
    assert (await stored.claim(tasks(1)[0], "other", NOW, NOW + 60)).state is ClaimState.HELD
    await table.aclose()
