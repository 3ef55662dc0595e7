"""Knows how one item of a batch is run, by one, to one result, whatever dies; it must not know who hands items out.

The claim says who runs an item, and a result that is there is never replaced. What died is claimed again when its claim is over,
and paid for as every call that was never settled is: in full, because it may have been used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pinnace.core.errors import CliBroke, Overloaded, PinnaceError, RateLimited, RunFailed, UpstreamFailed
from pinnace.core.model.batches import Batch, ClaimState, Delivery, ItemResult, Task, Verdict
from pinnace.core.model.run import MessageMode
from pinnace.core.ports import Clock
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batch_results import requests_of
from pinnace.core.usecases.batching import BatchBook
from pinnace.core.usecases.call import Call, Receipt
from pinnace.core.usecases.calls import Calls
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.anthropic.batches import params_of, result_line
from pinnace.core.wire.anthropic.errors import render

log = logging.getLogger("pinnace.batches")

#: Seconds that an item stays with who died.
LEASE = 60.0
#: Seconds between two renewals, and between two looks whether the batch goes on.
RENEWAL, LOOK = 20.0, 1.0
#: How often an item is begun, before it is an error.
TRIES = 5
#: Most seconds between two tries.
LONGEST_WAIT = 300.0
#: Statuses of the upstream that may pass.
_PASSING = frozenset({None, 408, 409, 429})


class _Later(Exception):
    """An item that is tried again after `seconds`; that it was tried `counts`, or not."""

    def __init__(self, seconds: float, *, counts: bool) -> None:
        super().__init__()
        self.seconds, self.counts = seconds, counts


@dataclass(frozen=True, slots=True)
class BatchWorker:
    """Runs items; `check` judges a body as `POST /v1/messages` does, `first_wait` is how long the second try waits, about."""

    book: BatchBook
    calls: Calls
    access: Access
    clock: Clock
    check: Callable[[dict[str, Any], str], dict[str, Any]]
    seconds: float = 600.0
    first_wait: float = 2.0

    async def process(self, delivery: Delivery) -> None:
        """Run the item that was handed out, if it is still to be run; however this ends, nothing of it is lost.

        Raises:
            StoreFailed: what became of it cannot be kept; it is handed out again.
        """
        task, now = delivery.task, self.clock.now()
        holder = secrets.token_hex(8)
        claim = await self.book.batches.claim(task, holder, now, now + LEASE)
        if claim.state is not ClaimState.TAKEN:
            await self._leave(delivery, claim.state)
            return
        try:
            result = await self._held(delivery, holder, claim.tries) if claim.tries <= TRIES else _given_up(task)
        except _Later as later:
            await self._again(delivery, holder, later)
        except BaseException:
            # Whoever stops this does not mean the item.
            await asyncio.shield(self._again(delivery, holder, _Later(0.0, counts=False)))
            raise
        else:
            await self._finish(delivery, holder, result, claim.tries)

    async def _leave(self, delivery: Delivery, state: ClaimState) -> None:
        """Somebody else runs it, or it is not to be run."""
        task, queue, now = delivery.task, self.book.queue, self.clock.now()
        batch = await self.book.batches.find(task.project_id, task.batch_id)
        is_coming = batch is not None and not batch.is_ready
        if state is ClaimState.HELD or is_coming:
            await queue.give_back(delivery, now, now + (LOOK if is_coming else LEASE / 4))
            return
        await queue.done(delivery)
        if batch is not None:
            await self.book.end(batch)

    async def _held(self, delivery: Delivery, holder: str, tries: int) -> ItemResult | None:
        """Run it as long as it is ours to run; None where its batch takes no more."""
        running = asyncio.ensure_future(self._run(delivery.task, holder, tries))
        watching = asyncio.ensure_future(self._watch(delivery, holder))
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (running, watching):
                one.cancel()
            await asyncio.wait({running, watching})
        if not running.cancelled():
            return running.result()
        # It was watching that ended, and should not have failed.
        watching.result()
        return None

    async def _watch(self, delivery: Delivery, holder: str) -> None:
        """Return when the item is not to be run any more."""
        task, renewed = delivery.task, self.clock.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            with contextlib.suppress(RunFailed):
                batch, now = await self.book.batches.find(task.project_id, task.batch_id), self.clock.now()
                if batch is None or not batch.takes(now):
                    return
                if self.clock.monotonic() - renewed >= RENEWAL:
                    renewed = self.clock.monotonic()
                    if not await self.book.batches.hold(task, holder, now + LEASE):
                        return
                    await self.book.queue.hold(delivery, now, now + LEASE)

    async def _run(self, task: Task, holder: str, tries: int) -> ItemResult:
        name, receipt = task.item.custom_id, Receipt()
        request_id = f"{task.batch_id}-{task.item.number}-{holder}"
        try:
            message = await self._message(task, request_id, receipt)
        except PinnaceError as error:
            later = self._later(error, tries)
            if later is not None:
                raise later from error
            body = render(error, request_id).body
            return ItemResult(Verdict.ERRORED, result_line(name, Verdict.ERRORED, body), receipt.amount.microusd)
        line = result_line(name, Verdict.SUCCEEDED, message)
        return ItemResult(Verdict.SUCCEEDED, line, receipt.amount.microusd)

    async def _message(self, task: Task, request_id: str, receipt: Receipt) -> dict[str, Any]:
        batch = await self.book.find(task.project_id, task.batch_id)
        call = await self._call(batch, task, request_id)
        assembler = MessageAssembler()
        async with contextlib.aclosing(self.calls.stream(call, receipt)) as events:
            async for event in events:
                assembler.feed(event)
        return assembler.message()

    async def _call(self, batch: Batch, task: Task, request_id: str) -> Call:
        item, file = task.item, requests_of(task.project_id, task.batch_id)
        async with contextlib.aclosing(self.book.blobs.read(file, item.offset, item.length)) as pieces:
            line = b"".join([piece async for piece in pieces])
        body = self.check(params_of(line), batch.api_version)
        return Call(
            request_id=request_id,
            principal=await self.access.principal_of(batch.project_id, batch.key_id),
            profile=batch.profile,
            path="/v1/messages/batches",
            model=body["model"],
            body=body,
            betas=batch.betas,
            api_version=batch.api_version,
            seconds=max(1.0, min(self.seconds, batch.expires_at - self.clock.now())),
            mode=MessageMode.IGNORE,
        )

    def _later(self, error: PinnaceError, tries: int) -> _Later | None:
        """Whether, and when, another try may end better."""
        if isinstance(error, RateLimited | Overloaded):
            return _Later(error.retry_after or 1.0, counts=False)
        passes = isinstance(error, RunFailed)
        asked = 0.0
        if isinstance(error, UpstreamFailed):
            passes, asked = error.status in _PASSING or (error.status or 0) >= 500, error.retry_after or 0.0  # noqa: PLR2004 - 5xx
        if not passes or tries >= TRIES:
            return None
        wait = min(LONGEST_WAIT, self.first_wait * 2 ** (tries - 1))
        return _Later(max(asked, wait * random.uniform(0.5, 1.0)), counts=True)  # noqa: S311 - no secret

    async def _again(self, delivery: Delivery, holder: str, later: _Later) -> None:
        now = self.clock.now()
        await self.book.batches.release(delivery.task, holder, counts=later.counts)
        await self.book.queue.give_back(delivery, now, now + later.seconds)

    async def _finish(self, delivery: Delivery, holder: str, result: ItemResult | None, tries: int) -> None:
        task, book = delivery.task, self.book
        if result is None:
            await book.batches.release(task, holder, counts=False)
            await book.queue.done(delivery)
            batch = await book.batches.find(task.project_id, task.batch_id)
        else:
            batch = await book.batches.finish(task, result)
            is_poison = result.verdict is Verdict.ERRORED and tries >= TRIES
            await (book.queue.bury(delivery) if is_poison else book.queue.done(delivery))
            if is_poison:
                log.error("an item of a batch was given up", extra={"batch": task.batch_id, "item": task.item.number})
        if batch is not None:
            await book.end(batch)


def _given_up(task: Task) -> ItemResult:
    """The result of an item that ended whoever ran it."""
    error = CliBroke(f"This request was begun {TRIES} times, and each time the worker that ran it died.")
    body = render(error, f"{task.batch_id}-{task.item.number}").body
    return ItemResult(Verdict.ERRORED, result_line(task.item.custom_id, Verdict.ERRORED, body))
