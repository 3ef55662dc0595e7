"""Knows what is promised of files in S3 beyond the contract: large ones, many at once, one kind of failure."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from served import free_port
from stores import s3_bucket
from types_boto3_s3 import S3Client

from pinnace.core.adapters.s3.blobs import AT_ONCE, S3Blobs
from pinnace.core.adapters.s3.bucket import Bucket, client_of
from pinnace.core.errors import StoreFailed


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    opened = s3_bucket(tmp_path)
    yield opened
    await opened.aclose()


@pytest.fixture
def blobs(bucket: Bucket) -> S3Blobs:
    return S3Blobs(bucket, "files")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return written(tmp_path, b"ahoy")


def written(place: Path, data: bytes) -> Path:
    source = place / "source"
    source.write_bytes(data)
    return source


async def names(bucket: Bucket) -> list[str]:
    def work(client: S3Client) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
        return [found.get("Key", "") for page in pages for found in page.get("Contents", ())]

    return await bucket.run(work)


async def test_a_file_comes_back_until_it_is_deleted(blobs: S3Blobs, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert not await blobs.get("a/b", target)
    await blobs.put("a/b", source)
    written(tmp_path, b"other")
    await blobs.copy("a/b", "c")
    await blobs.put("a/b", source)
    for name, text in (("a/b", b"other"), ("c", b"ahoy")):
        assert await blobs.get(name, target)
        assert target.read_bytes() == text
    for _ in range(2):
        await blobs.delete("a/b")
    target.unlink()
    assert not await blobs.get("a/b", target)
    assert not target.exists()


async def test_a_large_file_goes_in_parts(blobs: S3Blobs, tmp_path: Path) -> None:
    large = os.urandom(1 << 20) * 20
    await blobs.put("large", written(tmp_path, large))
    await blobs.copy("large", "copy")
    assert await blobs.get("copy", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == large


async def test_all_of_a_prefix_is_deleted_and_nothing_beside_it(blobs: S3Blobs, bucket: Bucket, source: Path) -> None:
    def fill(client: S3Client) -> None:
        with ThreadPoolExecutor(8) as threads:
            for number in range(AT_ONCE + 1):
                threads.submit(client.put_object, Bucket=bucket.name, Key=f"files/many/{number}", Body=b"")

    await bucket.run(fill)
    for name in ("many-more", "man/y", "many"):
        await blobs.put(name, source)
    assert len(await names(bucket)) == AT_ONCE + 4
    for _ in range(2):
        await blobs.delete_all("many")
    assert await names(bucket) == ["files/man/y", "files/many", "files/many-more"]


async def test_a_file_that_is_not_there_is_not_copied_and_none_is_put(blobs: S3Blobs, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        await blobs.copy("none", "other")
    with pytest.raises(StoreFailed):
        await blobs.put("name", tmp_path / "none")
    with pytest.raises(ValueError, match="no name"):
        await blobs.delete_all("a/../b")


class Failing:
    """A client that refuses everything, or does not delete what it should."""

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    def __getattr__(self, _operation: str) -> Any:
        return self._fail

    def get_paginator(self, _operation: str) -> Failing:
        return self

    def paginate(self, **_request: Any) -> list[Any]:
        return [{"Contents": [{"Key": "files/a/b"}]}]

    def close(self) -> None:
        return None

    def _fail(self, *_given: Any, **_request: Any) -> Any:
        if self._failure:
            raise self._failure
        return {"Errors": [{"Key": "files/a/b", "Code": "AccessDenied"}]}


DENIED = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")


@pytest.mark.parametrize("failure", [DENIED, EndpointConnectionError(endpoint_url="http://127.0.0.1")], ids=str)
async def test_what_botocore_raises_is_a_failure_of_the_store(failure: Exception, source: Path) -> None:
    bucket = Bucket("any", lambda: cast("S3Client", Failing(failure)))
    blobs = S3Blobs(bucket, "files")
    for work in (
        lambda: blobs.put("a", source),
        lambda: blobs.get("a", source),
        lambda: blobs.copy("a", "b"),
        lambda: blobs.delete("a"),
        lambda: blobs.delete_all("a"),
    ):
        with pytest.raises(StoreFailed):
            await work()
    await bucket.aclose()


async def test_what_was_not_deleted_is_a_failure_of_the_store() -> None:
    bucket = Bucket("any", lambda: cast("S3Client", Failing(None)))
    with pytest.raises(StoreFailed):
        await S3Blobs(bucket, "files").delete_all("a")
    await bucket.aclose()


async def test_a_bucket_that_cannot_be_reached_is_a_failure_of_the_store(source: Path) -> None:
    bucket = Bucket("any", partial(client_of, "eu-central-1", f"http://127.0.0.1:{free_port()}", "test", "test"))
    with pytest.raises(StoreFailed) as caught:
        await S3Blobs(bucket, "files").get("a", source)
    assert "127.0.0.1" not in str(caught.value)
    await bucket.aclose()


async def test_a_bucket_is_opened_again_after_it_was_closed(bucket: Bucket, blobs: S3Blobs, source: Path) -> None:
    for _ in range(2):
        await blobs.put("a", source)
        await bucket.aclose()
