"""Knows that a task is handed out to one at a time, again where nobody said that it was done, and never after that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from batch_stores import QUEUES, OpenedQueue, Time, tasks

from pinnace.core.model.batches import Batch, Delivery
from pinnace.core.ports import WorkQueue


@pytest.fixture(params=list(QUEUES))
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenedQueue]:
    made = QUEUES[request.param](tmp_path)
    yield made
    await made.close()


@pytest.fixture
def queue(opened: OpenedQueue) -> WorkQueue:
    return opened.queue


@pytest.fixture
def time(opened: OpenedQueue) -> Time:
    return opened.time


async def taken(queue: WorkQueue, time: Time, limit: int = 9, seconds: float = 60) -> Sequence[Delivery]:
    """In the order of their numbers, since a queue need not know an order."""
    now = time.now()
    found = await queue.take(limit, now, now + seconds)
    return sorted(found, key=lambda delivery: delivery.task.item.number)


async def test_what_is_put_comes_out_as_it_was(queue: WorkQueue, time: Time) -> None:
    await queue.put(tasks(3))
    assert [delivery.task for delivery in await taken(queue, time)] == tasks(3)
    assert await taken(queue, time) == []


async def test_many_who_take_share_what_there_is(queue: WorkQueue, time: Time) -> None:
    await queue.put(tasks(100))

    async def worker() -> list[int]:
        seen = []
        while found := await taken(queue, time, 7):
            for delivery in found:
                seen.append(delivery.task.item.number)
                await queue.done(delivery)
        return seen

    seen = Counter(number for one in await asyncio.gather(*(worker() for _ in range(10))) for number in one)
    assert seen == Counter(range(100))


async def test_what_nobody_finished_is_handed_out_again_and_its_old_receipt_is_good_for_nothing(
    queue: WorkQueue, time: Time
) -> None:
    await queue.put(tasks(1))
    (late,) = await taken(queue, time, seconds=2)
    assert await taken(queue, time) == []
    await time.wait(2)
    (delivery,) = await taken(queue, time, seconds=2)
    await queue.done(late)
    now = time.now()
    await queue.give_back(late, now, now)
    await queue.hold(late, now, now + 60)
    assert await taken(queue, time) == []
    await time.wait(2)
    (delivery,) = await taken(queue, time, seconds=2)
    await queue.done(delivery)
    await time.wait(2)
    assert await taken(queue, time) == []


async def test_what_is_held_longer_waits_longer_and_what_is_given_back_comes_when_it_was_said(
    queue: WorkQueue, time: Time
) -> None:
    await queue.put(tasks(1))
    (delivery,) = await taken(queue, time, seconds=1)
    now = time.now()
    await queue.hold(delivery, now, now + 60)
    await time.wait(1)
    assert await taken(queue, time) == []
    now = time.now()
    await queue.give_back(delivery, now, now + 2)
    assert await taken(queue, time) == []
    await time.wait(2)
    (delivery,) = await taken(queue, time)
    now = time.now()
    await queue.give_back(delivery, now, now)
    await time.wait(0)
    assert len(await taken(queue, time)) == 1


async def test_what_is_buried_can_be_looked_at_and_is_handed_out_no_more(queue: WorkQueue, time: Time) -> None:
    await queue.put(tasks(3))
    first, second, third = await taken(queue, time)
    await queue.bury(first)
    await queue.bury(second)
    assert await queue.buried(9) == tasks(2)
    assert await queue.buried(1) == tasks(2)[1:]
    now = time.now()
    for delivery in (first, second, third):
        await queue.give_back(delivery, now, now)
    await time.wait(0)
    assert [delivery.task for delivery in await taken(queue, time)] == tasks(3)[2:]


async def test_what_waits_of_other_batches_is_not_dropped_with_one(queue: WorkQueue, time: Time) -> None:
    await queue.put([*tasks(3, "a"), *tasks(2, "b")])
    await queue.forget(Batch("p", "a", time.now(), time.now()))
    kept = [delivery.task for delivery in await taken(queue, time)]
    assert [task for task in kept if task.batch_id == "b"] == tasks(2, "b")
