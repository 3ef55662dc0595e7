"""Knows how tasks wait in SQS; see `pinnace.core.ports.WorkQueue` for what it promises.

Requests: `put` one for 10 tasks, 8 of them at once; `take` one for up to 10 tasks; `hold`, `give_back` and `done` one each;
`bury` two; `buried` two for 10 tasks, and one that finds no more.

It is a standard queue: messages come in no order, and rarely twice. They say whose they are (`MessageGroupId`, a project's), by
which SQS shares what it hands out among projects where many wait. What waits of one batch cannot be dropped: who takes such a
task is told so by `Batches.claim`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from pinnace.core.adapters.sqs.queue import Queue
from pinnace.core.adapters.sqs.receipts import Receipts
from pinnace.core.errors import StoreFailed
from pinnace.core.model.batches import Batch, BatchItem, Delivery, Task

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

log = logging.getLogger("pinnace.batches")

#: What one request sends, hands out, or changes.
AT_ONCE = 10
#: Requests of one `put` that are under way at once.
LANES = 8
#: Seconds for which a message may be kept from others, at most.
LONGEST = 43_200
#: How often a message is sent that SQS did not take.
ATTEMPTS = 6
#: Seconds for which what was buried is kept from others who look, and how much of it is looked at.
_LOOK, MOST = 30, 1_000
#: What SQS says of a receipt that is over; the second comes from clients that speak its older protocol.
_OVER = {
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
}


class SqsWorkQueue:
    """`WorkQueue` in a queue; what is buried lies in another, and is dropped where there is none."""

    def __init__(
        self, queue: Queue, dead_letters: Queue | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._queue, self._dead_letters = queue, dead_letters
        self._receipts = Receipts()
        self._sleep = sleep

    async def put(self, tasks: Sequence[Task]) -> None:
        portions = [tasks[begin : begin + AT_ONCE] for begin in range(0, len(tasks), AT_ONCE)]
        failed = threading.Event()

        def lane(number: int) -> Callable[[SQSClient, str], None]:
            def work(client: SQSClient, url: str) -> None:
                for portion in portions[number::LANES]:
                    if failed.is_set():
                        return
                    try:
                        self._send(client, url, portion)
                    except BaseException:
                        failed.set()
                        raise

            return work

        lanes = [self._queue.run(lane(number)) for number in range(min(LANES, len(portions)))]
        # All of them have ended when this does, so that nothing is sent of a batch that is being dropped.
        for end in await asyncio.gather(*lanes, return_exceptions=True):
            if end is not None:
                raise end

    async def take(self, limit: int, now: float, until: float) -> Sequence[Delivery]:
        seconds, left = _seconds(until - now), threading.Event()

        def work(client: SQSClient, url: str) -> list[tuple[str, str]]:
            # The earliest moment at which SQS may let others have them.
            over = self._receipts.now() + seconds
            # How long it waits for a message is a setting of the queue, `ReceiveMessageWaitTimeSeconds`.
            answer: Any = client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=min(limit, AT_ONCE), VisibilityTimeout=seconds
            )
            messages = answer.get("Messages", [])
            if left.is_set():
                _show(client, url, messages)
                return []
            return [(self._receipts.made(message["ReceiptHandle"], over), message["Body"]) for message in messages]

        try:
            taken = [(receipt, body, _task(body)) for receipt, body in await self._queue.run(work)]
        except asyncio.CancelledError:
            # Nobody will run what comes now, and others must not wait for it.
            left.set()
            raise
        for receipt, body, task in taken:
            if task is None:
                log.error("a message in the queue of batches is no task")
                await self._bury(receipt, body)
        return [Delivery(task, receipt) for receipt, _, task in taken if task is not None]

    async def hold(self, delivery: Delivery, now: float, until: float) -> None:
        await self._hide(delivery.receipt, _seconds(until - now))

    async def give_back(self, delivery: Delivery, now: float, at: float) -> None:
        await self._hide(delivery.receipt, _seconds(at - now))
        # Another has it from then on, and until then nobody.
        self._receipts.move(delivery.receipt, 0.0)

    async def done(self, delivery: Delivery) -> None:
        await self._delete(delivery.receipt)

    async def bury(self, delivery: Delivery) -> None:
        await self._bury(delivery.receipt, _body(delivery.task))

    async def buried(self, limit: int) -> Sequence[Task]:
        """As the port says, of some 1,000 where more are buried."""

        def work(client: SQSClient, url: str) -> list[Task]:
            seen = list[Any]()
            try:
                while len(seen) < MOST:
                    messages = client.receive_message(
                        QueueUrl=url,
                        MaxNumberOfMessages=AT_ONCE,
                        VisibilityTimeout=_LOOK,
                        MessageSystemAttributeNames=["SentTimestamp"],
                    ).get("Messages", [])
                    if not messages:
                        break
                    seen += messages
            finally:
                _show(client, url, seen)
            seen.sort(key=lambda message: int(message["Attributes"]["SentTimestamp"]))
            return [task for message in seen if (task := _task(message["Body"])) is not None]

        return [] if self._dead_letters is None else (await self._dead_letters.run(work))[-limit:]

    async def forget(self, batch: Batch) -> None:  # noqa: ARG002 - the port's signature
        return None

    def _send(self, client: SQSClient, url: str, tasks: Sequence[Task]) -> None:
        pending: list[Any] = [
            {"Id": str(number), "MessageBody": _body(task), "MessageGroupId": _group(task)}
            for number, task in enumerate(tasks)
        ]
        for attempt in range(ATTEMPTS):
            if attempt:
                # Seconds, with full jitter: three in all, about.
                self._sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - no secret
            answer = client.send_message_batch(QueueUrl=url, Entries=pending)
            failed = {one["Id"]: one["SenderFault"] for one in answer.get("Failed", ())}
            if any(failed.values()):
                break
            pending = [entry for entry in pending if entry["Id"] in failed]
            if not pending:
                return
        raise StoreFailed("The server's queue does not take all requests of a batch.")

    async def _hide(self, receipt: str, seconds: int) -> None:
        """Keep a message from others from now on, so long."""
        handle = self._receipts.handle(receipt)
        if handle is None:
            return

        def work(client: SQSClient, url: str) -> None:
            over = self._receipts.now() + seconds
            if _unless_over(
                lambda: client.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds)
            ):
                self._receipts.move(receipt, over)

        await self._queue.run(work)

    async def _bury(self, receipt: str, body: str) -> None:
        if self._dead_letters is not None:
            await self._dead_letters.run(lambda client, url: client.send_message(QueueUrl=url, MessageBody=body))
        await self._delete(receipt)

    async def _delete(self, receipt: str) -> None:
        handle = self._receipts.handle(receipt)
        if handle is None:
            return
        await self._queue.run(
            lambda client, url: _unless_over(lambda: client.delete_message(QueueUrl=url, ReceiptHandle=handle))
        )
        self._receipts.move(receipt, 0.0)


def _seconds(seconds: float) -> int:
    """As SQS counts them."""
    # What was added to a moment and taken away again is not the same to a millionth.
    return max(0, min(math.ceil(round(seconds, 3)), LONGEST))


def _group(task: Task) -> str:
    """A project's name, whatever it is, in no more than 128 letters and digits."""
    return hashlib.sha256(task.project_id.encode()).hexdigest()[:32]


def _body(task: Task) -> str:
    item = task.item
    place = [item.number, item.custom_id, item.offset, item.length]
    return orjson.dumps({"project_id": task.project_id, "batch_id": task.batch_id, "item": place}).decode()


def _task(body: str) -> Task | None:
    """The task of a message; None where it is somebody else's."""
    try:
        values = orjson.loads(body)
        return Task(values["project_id"], values["batch_id"], BatchItem(*values["item"]))
    except (KeyError, TypeError, ValueError):
        return None


def _show(client: SQSClient, url: str, messages: Sequence[Any]) -> None:
    """Let others have messages at once."""
    for begin in range(0, len(messages), AT_ONCE):
        entries: list[Any] = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(messages[begin : begin + AT_ONCE])
        ]
        client.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _unless_over(ask: Callable[[], object]) -> bool:
    """Ask for something; False where the receipt is over."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and not every host has it

    try:
        ask()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _OVER:
            raise
        return False
    return True
