"""Knows how settings become connections to servers that keep things for pinnace; it must not know what they keep."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pinnace.core.errors import Misconfigured
from pinnace.core.sections import AwsSettings

if TYPE_CHECKING:
    from pinnace.core.adapters.dynamodb.table import Table
    from pinnace.core.adapters.redis.connection import Connection
    from pinnace.core.adapters.s3.bucket import Bucket
    from pinnace.core.adapters.sqs.queue import Queue


def redis_connection(url: str, prefix: str) -> Connection:
    """Redis, where its package is installed.

    Raises:
        Misconfigured: it is not, or the address is none.
    """
    try:
        from pinnace.core.adapters.redis.connection import Connection
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise Misconfigured(
            "needs the package redis, which is not installed; pip install 'pinnace[redis]' brings it", key="redis.url"
        ) from error
    return Connection(url, prefix)


def dynamodb_table(aws: AwsSettings) -> Table:
    """The table, where boto3 is installed and a table and a bucket are named.

    Raises:
        Misconfigured: they are not.
    """
    from pinnace.core.adapters.dynamodb.table import Table, client_of

    # The adapters import it where it is first needed, since it takes long: too late to say so.
    if find_spec("boto3") is None:
        message = "needs the package boto3, which is not installed; pip install 'pinnace[aws]' brings it"
        raise Misconfigured(message, key="store")
    if aws.table is None or aws.bucket is None:
        missing = "table" if aws.table is None else "bucket"
        raise Misconfigured("must be set where store is dynamodb", key=f"aws.{missing}")
    return Table(aws.table, partial(client_of, aws.region, aws.endpoint_url))


def s3_bucket(aws: AwsSettings) -> Bucket:
    """The bucket; `dynamodb_table` said whether there can be one."""
    from pinnace.core.adapters.s3.bucket import Bucket, client_of

    return Bucket(aws.bucket or "", partial(client_of, aws.region, aws.endpoint_url))


def sqs_queue(aws: AwsSettings, name: str) -> Queue:
    """A queue by its URL or name; `dynamodb_table` said whether there can be one."""
    from pinnace.core.adapters.sqs.queue import Queue, client_of

    return Queue(name, partial(client_of, aws.region, aws.endpoint_url))


async def nothing() -> None:
    """There is nothing to close."""
