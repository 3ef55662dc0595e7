"""Knows that an item of a batch is run to one result, tried again where that may help, and given up where it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from house import MODEL, House, build_house

from pinnace.core.adapters.memory.batches import MemoryBatches
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.work_queue import MemoryWorkQueue
from pinnace.core.errors import CliBroke, Conflicted, NotFound, Overloaded, PinnaceError, UpstreamFailed
from pinnace.core.model.access import ORDINARY, Budget, Limits, Principal, Project, Scope
from pinnace.core.model.batches import LIFETIME, Batch, Delivery
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batch_work import LEASE, TRIES, BatchWorker
from pinnace.core.usecases.batching import BatchBook
from pinnace.core.wire.anthropic.requests import check_messages_body

ROOT = Principal(Project("root", "Root", 0.0), frozenset([Scope.ADMIN]))
ANSWER: tuple[dict[str, Any], ...] = (
    {
        "type": "message_start",
        "message": {"id": "m", "type": "message", "role": "assistant", "model": MODEL, "content": [], "usage": {}},
    },
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
    {"type": "message_stop"},
)


@dataclass
class Yard:
    """A house with batches, and a project whose they are."""

    house: House
    book: BatchBook
    worker: BatchWorker
    access: Access
    principal: Principal

    @property
    def clock(self) -> Any:
        return self.house.calls.clock

    async def create(self, count: int = 1, key: str | None = None, principal: Principal | None = None) -> Batch:
        params = {"model": MODEL, "max_tokens": 3, "messages": [{"role": "user", "content": "ahoy"}]}
        requests = [{"custom_id": f"item-{number}", "params": params} for number in range(count)]

        async def body() -> AsyncIterator[bytes]:
            yield json.dumps({"requests": requests}).encode()

        return await self.book.create(principal or self.principal, body(), key, api_version="2023-06-01")

    async def take(self, later: float = 0.0) -> Delivery | None:
        now = self.clock.now() + later
        taken = await self.book.queue.take(1, now, now + LEASE)
        return taken[0] if taken else None

    async def next(self) -> Delivery:
        delivery = await self.take()
        assert delivery is not None
        return delivery

    async def work(self) -> int:
        """Run everything that can be run now, and say how many times something was."""
        times = 0
        while (delivery := await self.take()) is not None:
            await self.worker.process(delivery)
            times += 1
        return times

    async def results(self, batch: Batch) -> list[dict[str, Any]]:
        file = await self.book.results(await self.book.find("p", batch.id))
        text = b"".join([piece async for piece in self.book.blobs.read(file)])
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
async def yard() -> Yard:
    house = build_house()
    house.runner.lines = ANSWER
    directory, clock = MemoryDirectory(), house.calls.clock
    project = Project("p", "P", 0.0, Budget(total_tokens=1_000_000))
    await directory.add_project(project)
    book = BatchBook(MemoryBatches(), MemoryWorkQueue(), MemoryBlobs(), clock)
    access = Access(directory, clock)

    def check(body: dict[str, Any], version: str) -> dict[str, Any]:
        return dict(check_messages_body(body, versioned=version).body)

    worker = BatchWorker(book, house.calls, access, clock, check, first_wait=2.0)
    return Yard(house, book, worker, access, Principal(project, ORDINARY))


async def test_each_item_has_its_result_and_the_last_one_ends_the_batch(yard: Yard) -> None:
    batch = await yard.create(3)
    assert await yard.work() == 3
    ended = await yard.book.find("p", batch.id)
    assert (ended.counts.succeeded, ended.ended_at, ended.microusd) == (3, yard.clock.now(), 3 * 70)
    lines = await yard.results(batch)
    assert [line["custom_id"] for line in lines] == ["item-0", "item-1", "item-2"]
    assert {line["result"]["type"] for line in lines} == {"succeeded"}
    assert ended.results_size == sum(len(json.dumps(line, separators=(",", ":"))) + 1 for line in lines)


async def test_a_failure_that_passes_is_tried_again_later_and_longer(yard: Yard) -> None:
    batch = await yard.create()
    waits = []
    for _ in range(TRIES - 1):
        yard.house.runner.lines = (UpstreamFailed("busy", status=529),)
        assert await yard.work() == 1
        began = yard.clock.time
        while (delivery := await yard.take()) is None:
            yard.clock.time += 0.25
        waits.append(yard.clock.time - began)
        await yard.book.queue.give_back(delivery, yard.clock.now(), yard.clock.now())
    assert all(1 * 2**number <= wait <= 2 * 2**number + 0.25 for number, wait in enumerate(waits))
    yard.house.runner.lines = ANSWER
    await yard.work()
    assert (await yard.book.find("p", batch.id)).counts.succeeded == 1


@pytest.mark.parametrize(
    "error", [CliBroke("it died"), UpstreamFailed("cut", status=None), UpstreamFailed("x", status=500)]
)
async def test_a_failure_that_stays_is_the_result_and_the_task_is_buried(yard: Yard, error: PinnaceError) -> None:
    batch = await yard.create()
    yard.house.runner.lines = (error,)
    for _ in range(TRIES):
        assert await yard.work() == 1
        yard.clock.time += 60
    (line,) = await yard.results(batch)
    assert line["result"]["error"]["error"]["message"] == error.message
    assert [task.item.custom_id for task in await yard.book.queue.buried(9)] == ["item-0"]


@pytest.mark.parametrize(
    "error", [UpstreamFailed("no", status=400, kind="invalid_request_error"), NotFound("model: x")]
)
async def test_what_another_try_would_not_help_is_an_error_at_once(yard: Yard, error: PinnaceError) -> None:
    batch = await yard.create()
    yard.house.runner.lines = (error,)
    assert await yard.work() == 1
    assert (await yard.results(batch))[0]["result"]["error"]["error"]["message"] == error.message
    assert await yard.book.queue.buried(9) == []


async def test_a_full_pool_and_the_key_s_own_limits_are_waited_for_however_often(yard: Yard) -> None:
    await yard.access.directory.add_project(Project("root", "Root", 0.0))
    key, _ = await yard.access.create_key(ROOT, "p", {"name": "K", "limits": Limits(requests_per_minute=1)})
    batch = await yard.create(3, principal=Principal(yard.principal.project, ORDINARY, key))
    for _ in range(2 * TRIES):
        yard.house.runner.lines = (Overloaded("full", retry_after=1.0),)
        await yard.work()
        yard.clock.time += 60
    yard.house.runner.lines = ANSWER
    for _ in range(4):
        await yard.work()
        yard.clock.time += 60
    assert (await yard.book.find("p", batch.id)).counts.succeeded == 3


async def test_an_item_that_kills_whoever_runs_it_is_given_up(yard: Yard) -> None:
    batch = await yard.create()
    for _ in range(TRIES):
        delivery = await yard.next()
        now = yard.clock.now()
        await yard.book.batches.claim(delivery.task, "dead", now, now + LEASE)
        yard.clock.time += LEASE
    assert await yard.work() == 1
    (line,) = await yard.results(batch)
    assert "begun 5 times" in line["result"]["error"]["error"]["message"]
    assert len(await yard.book.queue.buried(9)) == 1


async def test_a_task_that_is_handed_out_twice_is_run_once(yard: Yard) -> None:
    batch = await yard.create()
    first = await yard.take()
    second = await yard.take(later=LEASE)
    assert first is not None
    assert second is not None
    await asyncio.gather(yard.worker.process(first), yard.worker.process(second))
    yard.clock.time += LEASE
    await yard.work()
    assert yard.house.journal.count("run") == 1
    assert len(await yard.results(batch)) == 1


async def test_cancelling_stops_what_runs_and_keeps_what_was_done(yard: Yard) -> None:
    batch = await yard.create(3)
    done = await yard.next()
    await yard.worker.process(done)
    yard.house.runner.lines = (None,)
    running = await yard.next()
    working = asyncio.create_task(yard.worker.process(running))
    await yard.house.runner.hanging.wait()
    cancelled = await yard.book.cancel(batch)
    assert (cancelled.ended_at, cancelled.cancel_at) == (None, yard.clock.now())
    await asyncio.wait_for(working, 5)
    assert yard.house.journal.count("settled") == 2
    ended = await yard.book.find("p", batch.id)
    assert (ended.counts.succeeded, ended.counts.canceled) == (1, 2)
    assert [line["result"]["type"] for line in await yard.results(batch)] == ["succeeded", "canceled", "canceled"]
    assert await yard.work() == 0


async def test_a_worker_that_is_stopped_gives_its_item_back_at_once_and_that_was_no_try(yard: Yard) -> None:
    await yard.create()
    yard.house.runner.lines = (None,)
    for _ in range(2 * TRIES):
        delivery = await yard.next()
        working = asyncio.create_task(yard.worker.process(delivery))
        await yard.house.runner.hanging.wait()
        yard.house.runner.hanging.clear()
        working.cancel()
        await asyncio.wait({working})
    yard.house.runner.lines = ANSWER
    assert await yard.work() == 1
    assert await yard.book.queue.buried(9) == []


async def test_a_batch_that_took_too_long_ends_with_what_it_has(yard: Yard) -> None:
    batch = await yard.create(2)
    delivery = await yard.next()
    await yard.worker.process(delivery)
    yard.clock.time += LIFETIME
    await yard.book.sweep()
    assert [line["result"]["type"] for line in await yard.results(batch)] == ["succeeded", "expired"]
    with pytest.raises(NotFound):
        await yard.book.find("other", batch.id)


async def test_a_revoked_key_runs_nothing_more(yard: Yard) -> None:
    await yard.access.directory.add_project(Project("root", "Root", 0.0))
    key, _ = await yard.access.create_key(ROOT, "p", {"name": "K"})
    batch = await yard.create(principal=Principal(yard.principal.project, ORDINARY, key))
    await yard.access.revoke_key(ROOT, key)
    await yard.work()
    assert (await yard.results(batch))[0]["result"]["error"]["error"]["type"] == "authentication_error"


async def test_the_same_idempotency_key_gives_the_same_batch_and_another_body_is_a_conflict(yard: Yard) -> None:
    first = await yard.create(2, key="once")
    assert (await yard.create(2, key="once")).id == first.id
    assert (await yard.create(2)).id != first.id
    with pytest.raises(Conflicted):
        await yard.create(3, key="once")
    assert await yard.work() == 4


async def test_results_are_dropped_after_29_days_and_the_batch_says_so(yard: Yard) -> None:
    batch = await yard.create()
    await yard.work()
    yard.clock.time = batch.kept_until
    await yard.book.sweep()
    with pytest.raises(NotFound, match="29 days"):
        await yard.results(batch)
    assert (await yard.book.find("p", batch.id)).archived_at == yard.clock.now()


async def test_a_batch_is_dropped_when_it_has_ended_and_not_before(yard: Yard) -> None:
    batch = await yard.create()
    with pytest.raises(Conflicted, match="cancel it first"):
        await yard.book.remove(batch)
    await yard.work()
    await yard.book.remove(await yard.book.find("p", batch.id))
    with pytest.raises(NotFound):
        await yard.book.find("p", batch.id)


async def test_two_that_end_a_batch_at_once_leave_all_of_its_results(yard: Yard) -> None:
    batch = await yard.create(3)
    await yard.work()
    ready = replace(await yard.book.find("p", batch.id), ended_at=None)
    # As seen by a server that read the batch just before another one ended it.
    assert not await yard.book.end(ready)
    assert [line["custom_id"] for line in await yard.results(batch)] == ["item-0", "item-1", "item-2"]
