"""Knows what clients may send straight to S3, and that what they send is no blob before it was accepted."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from stores import s3_bucket

from pinnace.core.adapters.s3.blobs import S3Blobs
from pinnace.core.adapters.s3.bucket import Bucket
from pinnace.core.adapters.s3.uploads import S3Uploads
from pinnace.core.model.files import UploadForm

DATA = os.urandom(300_000)


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncIterator[Bucket]:
    opened = s3_bucket(tmp_path)
    yield opened
    await opened.aclose()


@pytest.fixture
def blobs(bucket: Bucket) -> S3Blobs:
    return S3Blobs(bucket, "files")


@pytest.fixture
def uploads(bucket: Bucket, blobs: S3Blobs) -> S3Uploads:
    return S3Uploads(bucket, "sent", blobs)


async def send(form: UploadForm, data: bytes) -> None:
    async with httpx.AsyncClient() as http:
        sent = await http.request(form.method, form.url, data=dict(form.fields), files={"file": data})
    assert sent.is_success, sent.text


async def kept(blobs: S3Blobs, name: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(name)])


def conditions(form: UploadForm) -> list[Any]:
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    found: list[Any] = policy["conditions"]
    return found


async def test_a_form_is_good_for_one_key_and_one_size_and_is_signed_as_every_region_takes_it(
    uploads: S3Uploads,
) -> None:
    form = await uploads.offer("file_1", 5, 60)
    assert ["content-length-range", 5, 5] in conditions(form)
    assert {"key": "sent/file_1"} in conditions(form)
    assert form.fields["key"] == "sent/file_1"
    assert form.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert not any("secret" in value for value in form.fields.values())


async def test_what_was_sent_is_a_blob_once_it_is_accepted(uploads: S3Uploads, blobs: S3Blobs) -> None:
    assert await uploads.accept("file_1", "p/file_1/a") is None
    form = await uploads.offer("file_1", len(DATA), 60)
    await send(form, DATA)
    assert await uploads.accept("file_1", "p/file_1/a") == len(DATA)
    await send(form, b"x" * len(DATA))
    assert await kept(blobs, "p/file_1/a") == DATA
    await uploads.remove("file_1")
    assert await uploads.accept("file_1", "p/file_1/b") is None


async def test_what_was_sent_too_long_ago_is_dropped_and_blobs_are_not(uploads: S3Uploads, blobs: S3Blobs) -> None:
    for name in ("file_1", "file_2"):
        await send(await uploads.offer(name, 1, 60), b"x")
    await uploads.accept("file_1", "p/file_1/a")
    await uploads.discard(time.time() - 600)
    assert await uploads.accept("file_2", "p/file_2/a") == 1
    await uploads.discard(time.time() + 600)
    assert await uploads.accept("file_2", "p/file_2/b") is None
    assert await kept(blobs, "p/file_1/a") == b"x"
    await uploads.discard(time.time() + 600)
