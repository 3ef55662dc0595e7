"""Knows what the queues of one machine promise beyond the contract: an order, and that what waits of a batch can be dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from batch_stores import EMBEDDED, tasks

from pinnace.core.model.batches import Batch
from pinnace.core.ports import WorkQueue

NOW = 1_800_000_000.0


@pytest.fixture(params=list(EMBEDDED))
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WorkQueue]:
    opened = EMBEDDED[request.param](tmp_path)
    yield opened.queue
    await opened.close()


async def test_tasks_come_in_the_order_of_their_numbers(queue: WorkQueue) -> None:
    await queue.put(tasks(9)[::-1])
    assert [delivery.task for delivery in await queue.take(9, NOW, NOW + 60)] == tasks(9)


async def test_a_small_batch_does_not_wait_for_a_large_one(queue: WorkQueue) -> None:
    await queue.put(tasks(50, "large"))
    await queue.put(tasks(2, "small"))
    first = [delivery.task.batch_id for delivery in await queue.take(4, NOW, NOW + 60)]
    assert first.count("small") == 2


async def test_what_waits_of_a_batch_can_be_dropped(queue: WorkQueue) -> None:
    await queue.put([*tasks(3, "a"), *tasks(2, "b")])
    await queue.forget(Batch("p", "a", NOW, NOW))
    assert {delivery.task.batch_id for delivery in await queue.take(9, NOW, NOW + 60)} == {"b"}
