"""Knows how one S3 bucket is reached: its client, its threads, one kind of failure; it must not know what is kept in it.

boto3 blocks, so each piece of work runs in a thread of a pool of the bucket's own, for any event loop. A caller that is cancelled
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
    from types_boto3_s3 import S3Client

T = TypeVar("T")
#: How many files are under way at once; each has connections of its own, as many as `PARTS`.
THREADS = 16
#: Parts of one large file that are under way at once.
PARTS = 4
#: Seconds.
_READ_TIMEOUT = 30.0


def client_of(
    region: str | None = None,
    endpoint: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
) -> S3Client:
    """Make a client; `endpoint` is an emulator's URL, and botocore finds out the rest where it is not given."""
    # An emulator has no names for buckets.
    addressing = {"addressing_style": "path" if endpoint else "auto"}
    # Forms that are signed as of old are refused by newer regions, and for buckets with keys of their own.
    config = config_of(THREADS * PARTS, _READ_TIMEOUT, s3=addressing, signature_version="s3v4")
    return session_of(region, access_key_id, secret_access_key).client("s3", endpoint_url=endpoint, config=config)


class Bucket:
    """One bucket, whose client is made when it is first needed."""

    def __init__(self, name: str, connect: Callable[[], S3Client] = client_of) -> None:
        self.name = name
        self._connect = connect
        self._starting = threading.Lock()
        self._connecting = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._client: S3Client | None = None

    async def run(self, work: Callable[[S3Client], T]) -> T:
        """Run `work` in a thread.

        Raises:
            StoreFailed: the bucket cannot be used, or a file of this machine cannot.
        """
        with self._starting:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
            executor = self._executor
        return await asyncio.get_running_loop().run_in_executor(executor, self._work, work)

    async def aclose(self) -> None:
        """End the threads and close the connections; a later call opens them again."""
        with self._starting:
            executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown)
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _work(self, work: Callable[[S3Client], T]) -> T:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - heavy, and not every host has it
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        try:
            return work(self._client or self._open())
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise StoreFailed("The server's store of files cannot be used at the moment.") from error

    def _open(self) -> S3Client:
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client
