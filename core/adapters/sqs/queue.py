"""Knows how one SQS queue is reached: its client, its threads, one kind of failure; it must not know what waits in it.

boto3 blocks, so each piece of work runs in a thread of a pool of the queue's own, for any event loop. A caller that is cancelled
does not cancel the work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pinnace.core.adapters.aws_clients import config_of, session_of
from pinnace.core.errors import StoreFailed

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

T = TypeVar("T")
#: How many requests are under way at once; each has a connection of its own.
THREADS = 16
#: Seconds; a queue may be told to wait 20 for a message.
_READ_TIMEOUT = 30.0


def client_of(
    region: str | None = None,
    endpoint: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
) -> SQSClient:
    """Make a client; `endpoint` is an emulator's URL, and botocore finds out the rest where it is not given."""
    config = config_of(THREADS, _READ_TIMEOUT)
    return session_of(region, access_key_id, secret_access_key).client("sqs", endpoint_url=endpoint, config=config)


class Queue:
    """One queue, by its URL or its name, whose client is made when it is first needed."""

    def __init__(self, name: str, connect: Callable[[], SQSClient] = client_of) -> None:
        self._name = name
        self._connect = connect
        self._starting = threading.Lock()
        self._connecting = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._opened: tuple[SQSClient, str] | None = None

    async def run(self, work: Callable[[SQSClient, str], T]) -> T:
        """Run `work`, which is given the client and the queue's URL, in a thread.

        Raises:
            StoreFailed: the queue cannot be used.
        """
        with self._starting:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="sqs")
            executor = self._executor
        return await asyncio.get_running_loop().run_in_executor(executor, self._work, work)

    async def aclose(self) -> None:
        """End the threads and close the connections; a later call opens them again."""
        with self._starting:
            executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)
        with self._connecting:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _work(self, work: Callable[[SQSClient, str], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy, and not every host has it

        try:
            return work(*(self._opened or self._open()))
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            raise StoreFailed(f"The server's queue refuses the request ({code}).") from error
        except BotoCoreError as error:
            raise StoreFailed(f"The server's queue cannot be reached ({type(error).__name__}).") from error

    def _open(self) -> tuple[SQSClient, str]:
        with self._connecting:
            if self._opened is None:
                client = self._connect()
                # A name has no colon.
                if ":" in self._name:
                    self._opened = client, self._name
                else:
                    self._opened = client, client.get_queue_url(QueueName=self._name)["QueueUrl"]
            return self._opened
