"""Knows how one DynamoDB table is reached: its client, its threads, its keys; it must not know what is kept in it.

boto3 blocks, so each piece of work runs in a thread of a pool of the table's own, for any event loop. A caller that is cancelled
does not cancel the work: it is carried to its end, or nothing of it happens.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pinnace.core.adapters.aws_clients import config_of, session_of
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.errors import StoreFailed

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
#: How many calls wait for DynamoDB at once; each has a connection of its own.
THREADS = 32
#: Seconds.
_READ_TIMEOUT = 10.0


def client_of(
    region: str | None = None,
    endpoint: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
) -> DynamoDBClient:
    """Make a client; `endpoint` is an emulator's URL, and botocore finds out the rest where it is not given."""
    # Every request is built here, and looking through each takes longer than building it.
    config = config_of(THREADS, _READ_TIMEOUT, parameter_validation=False)
    return session_of(region, access_key_id, secret_access_key).client("dynamodb", endpoint_url=endpoint, config=config)


def _unobserved(_operation: str) -> None:
    return None


class Table:
    """One table, whose client is made when it is first needed.

    `observe` is told the name of every operation that is about to be sent, by the thread that sends it; `sleep` is how one waits.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], DynamoDBClient] = client_of,
        observe: Callable[[str], None] = _unobserved,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._connect = connect
        self._observe = observe
        self._sleep = sleep
        self._starting = threading.Lock()
        self._connecting = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._session: Session | None = None
        self._client: DynamoDBClient | None = None

    async def run(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a thread.

        Raises:
            StoreFailed: the table cannot be used.
        """
        with self._starting:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="dynamodb")
            executor = self._executor
        return await asyncio.get_running_loop().run_in_executor(executor, self._work, work)

    async def aclose(self) -> None:
        """End the threads and close the connections; a later call opens them again."""
        with self._starting:
            executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)
        with self._connecting:
            client, self._client, self._session = self._client, None, None
        if client is not None:
            client.close()

    def _work(self, work: Callable[[Session], T]) -> T:
        return work(self._session or self._open())

    def _open(self) -> Session:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - heavy, and not every host has it

        with self._connecting:
            if self._session is None:
                try:
                    self._client = self._connect()
                except BotoCoreError as error:
                    raise StoreFailed(f"The server's store cannot be reached ({type(error).__name__}).") from error
                self._session = Session(self._client, self._name, self._observe, self._sleep)
            return self._session


def create_table(client: DynamoDBClient, name: str) -> None:
    """Make an empty table that is paid by the request."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
