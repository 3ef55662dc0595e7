"""Knows what is promised of SQS beyond the contract: few requests, patience, one kind of failure, and receipts that are over."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from batch_stores import tasks
from botocore.exceptions import ClientError, EndpointConnectionError
from stores import sqs_queue
from types_boto3_sqs import SQSClient

from pinnace.core.adapters.sqs.no_queue import NoWorkQueue
from pinnace.core.adapters.sqs.queue import Queue
from pinnace.core.adapters.sqs.receipts import Receipts
from pinnace.core.adapters.sqs.work_queue import ATTEMPTS, LONGEST, SqsWorkQueue
from pinnace.core.errors import PartMissing, StoreFailed
from pinnace.core.model.batches import Batch, Delivery
from pinnace.core.ports import WorkQueue

NOW = 1_800_000_000.0
URL = "http://127.0.0.1/queue"


class Noting:
    """A client that notes what it is asked, and may change an answer."""

    def __init__(self, client: object, change: Callable[[str, Any], Any] = lambda _operation, answer: answer) -> None:
        self._client, self._change = client, change
        self.asked = list[tuple[str, dict[str, Any]]]()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def ask(**request: Any) -> Any:
            self.asked.append((operation, request))
            return self._change(operation, getattr(self._client, operation)(**request))

        return ask

    def close(self) -> None:
        return None

    def operations(self) -> list[str]:
        asked, self.asked = self.asked, []
        return [operation for operation, _ in asked]


class Answering:
    """A client that gives prepared answers, the last of them for ever."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.asked = list[dict[str, Any]]()

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def answer(**request: Any) -> object:
            self.asked.append(request)
            given = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(given, Exception):
                raise given
            return given

        return answer

    def close(self) -> None:
        return None


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DeleteMessage")


def failed(*numbers: int, fault: bool = False) -> dict[str, Any]:
    return {"Failed": [{"Id": str(number), "SenderFault": fault, "Code": "x"} for number in numbers]}


@contextlib.asynccontextmanager
async def queue_over(*answers: object, waits: list[float]) -> AsyncIterator[tuple[SqsWorkQueue, Answering]]:
    client = Answering(*answers)
    opened = Queue(URL, lambda: cast("SQSClient", client))
    yield SqsWorkQueue(opened, sleep=waits.append), client
    await opened.aclose()


@pytest.fixture
def noted() -> list[Noting]:
    """The clients of the queue and of its dead letters, once they are made."""
    return []


@pytest.fixture
async def queue(tmp_path: Path, noted: list[Noting]) -> AsyncIterator[SqsWorkQueue]:
    def through(client: SQSClient) -> SQSClient:
        noted.append(Noting(client))
        return cast("SQSClient", noted[-1])

    opened, dead_letters = sqs_queue(tmp_path, "work", through), sqs_queue(tmp_path, "dead", through)
    yield SqsWorkQueue(opened, dead_letters)
    await opened.aclose()
    await dead_letters.aclose()


async def test_what_a_task_costs_is_few_requests(queue: SqsWorkQueue, noted: list[Noting]) -> None:
    await queue.put(tasks(25))
    assert noted[0].operations() == ["get_queue_url"] + ["send_message_batch"] * 3
    taken = await queue.take(50, NOW, NOW + 60)
    assert len(taken) == 10
    assert noted[0].asked[0][1]["VisibilityTimeout"] == 60
    assert noted[0].operations() == ["receive_message"]
    await queue.hold(taken[0], NOW, NOW + 60)
    await queue.done(taken[0])
    await queue.give_back(taken[1], NOW, NOW + 5)
    await queue.bury(taken[2])
    assert noted[0].operations() == [
        "change_message_visibility",
        "delete_message",
        "change_message_visibility",
        "delete_message",
    ]
    assert noted[1].operations() == ["get_queue_url", "send_message"]
    await queue.buried(9)
    assert noted[1].operations() == ["receive_message"] * 2 + ["change_message_visibility_batch"]
    await queue.forget(Batch("p", "b", NOW, NOW))
    assert noted[0].operations() == []


async def test_tasks_of_a_project_are_one_group_and_no_message_is_kept_from_others_for_longer_than_sqs_takes(
    queue: SqsWorkQueue, noted: list[Noting]
) -> None:
    await queue.put([*tasks(2), *tasks(1, project_id="a project's näme")])
    (entries,) = [request["Entries"] for operation, request in noted[0].asked if operation == "send_message_batch"]
    first, second, other = (entry["MessageGroupId"] for entry in entries)
    assert first == second != other
    for delivery in await queue.take(3, NOW, NOW + 10 * LONGEST):
        await queue.done(delivery)
    assert noted[0].asked[-4][1]["VisibilityTimeout"] == LONGEST


async def test_what_sqs_does_not_take_at_once_is_sent_again_and_nothing_else() -> None:
    waits: list[float] = []
    async with queue_over(failed(1, 3), failed(1), {}, waits=waits) as (queue, client):
        await queue.put(tasks(5))
    assert [[entry["Id"] for entry in request["Entries"]] for request in client.asked] == [
        ["0", "1", "2", "3", "4"],
        ["1", "3"],
        ["1"],
    ]
    assert len(waits) == 2


@pytest.mark.parametrize(("fault", "requests"), [(False, ATTEMPTS), (True, 1)])
async def test_what_sqs_never_takes_is_a_failure_of_the_store(fault: bool, requests: int) -> None:
    async with queue_over(failed(0, fault=fault), waits=[]) as (queue, client):
        with pytest.raises(StoreFailed):
            await queue.put(tasks(1))
    assert len(client.asked) == requests


async def test_nothing_is_sent_any_more_once_a_request_failed() -> None:
    async with queue_over(refusal("AccessDenied"), waits=[]) as (queue, client):
        with pytest.raises(StoreFailed, match="AccessDenied"):
            await queue.put(tasks(1_000))
    assert len(client.asked) < 100


@pytest.mark.parametrize("trouble", [EndpointConnectionError(endpoint_url=URL), refusal("QueueDoesNotExist")], ids=str)
async def test_what_botocore_raises_is_a_failure_of_the_store(trouble: Exception) -> None:
    delivery = Delivery(tasks(1)[0], "handle")
    async with queue_over(trouble, waits=[]) as (queue, _):
        for work in (
            lambda: queue.put(tasks(1)),
            lambda: queue.take(1, NOW, NOW + 60),
            lambda: queue.hold(delivery, NOW, NOW + 60),
            lambda: queue.done(delivery),
        ):
            with pytest.raises(StoreFailed):
                await work()


@pytest.mark.parametrize("code", ["MessageNotInflight", "ReceiptHandleIsInvalid"])
async def test_a_receipt_that_is_over_for_sqs_is_no_failure(code: str) -> None:
    delivery = Delivery(tasks(1)[0], "handle")
    async with queue_over(refusal(code), waits=[]) as (queue, _):
        await queue.hold(delivery, NOW, NOW + 60)
        await queue.give_back(delivery, NOW, NOW)
        await queue.done(delivery)


def test_a_receipt_is_good_until_its_moment_or_the_one_to_which_it_was_put_off() -> None:
    now = 100.0
    receipts = Receipts(lambda: now)
    early, late, given_back = (receipts.made(f"handle-{one}", 160.0) for one in range(3))
    receipts.move(late, 200.0)
    receipts.move(given_back, 0.0)
    assert [receipts.handle(one) for one in (early, late, given_back)] == ["handle-0", "handle-1", None]
    now = 160.0
    assert [receipts.handle(one) for one in (early, late, given_back)] == [None, "handle-1", None]
    now = 200.0
    assert [receipts.handle(one) for one in (early, late, given_back)] == [None, None, None]
    assert receipts.handle("a-handle-of-somebody-else") == "a-handle-of-somebody-else"


async def test_a_message_that_is_no_task_is_put_aside(queue: SqsWorkQueue, tmp_path: Path, noted: list[Noting]) -> None:
    own = sqs_queue(tmp_path)
    for body in ("ahoy", "[]", '{"project_id": "p"}'):
        await own.run(lambda client, url, body=body: client.send_message(QueueUrl=url, MessageBody=body))  # type: ignore[misc]  # a default is how a lambda keeps it
    await own.aclose()
    await queue.put(tasks(1))
    assert [delivery.task for delivery in await queue.take(9, NOW, NOW + 60)] == tasks(1)
    assert await queue.buried(9) == []
    assert noted[1].operations().count("send_message") == 3


async def test_who_leaves_while_it_waits_for_tasks_keeps_none_from_others(queue: SqsWorkQueue, tmp_path: Path) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow(operation: str, given: Any) -> Any:
        if operation == "receive_message":
            asked.set()
            answer.wait(10)
        return given

    reached = sqs_queue(tmp_path, through=lambda client: cast("SQSClient", Noting(client, slow)))
    await queue.put(tasks(1))
    taking = asyncio.create_task(SqsWorkQueue(reached).take(1, NOW, NOW + 600))
    await asyncio.to_thread(asked.wait, 10)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert taking.cancelled()
    answer.set()
    await reached.aclose()
    await asyncio.sleep(0.05)
    assert len(await queue.take(1, NOW, NOW + 60)) == 1


async def test_a_queue_may_be_named_by_its_url_and_is_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    named = sqs_queue(tmp_path)
    client, url = await named.run(lambda client, url: (client, url))
    opened = Queue(url, lambda: client)
    for _ in range(2):
        assert await SqsWorkQueue(opened).take(1, NOW, NOW + 60) == []
        await opened.aclose()
    await named.aclose()


async def test_without_dead_letters_what_is_buried_is_gone(tmp_path: Path) -> None:
    opened = sqs_queue(tmp_path)
    queue = SqsWorkQueue(opened)
    await queue.put(tasks(1))
    (delivery,) = await queue.take(1, NOW, NOW + 60)
    await queue.bury(delivery)
    assert await queue.buried(9) == []
    await opened.aclose()


async def test_without_a_queue_nothing_can_be_put_and_who_takes_waits() -> None:
    queue: WorkQueue = NoWorkQueue()
    with pytest.raises(PartMissing, match=r"aws\.queue"):
        await queue.put(tasks(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue.take(1, NOW, NOW + 60)
    await queue.forget(Batch("p", "b", NOW, NOW))
    assert await queue.buried(9) == []
