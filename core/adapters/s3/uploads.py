"""Knows how clients send files straight to S3; see `pinnace.core.ports.DirectUploads` for what it promises.

What was sent lies under a prefix of its own: a form that is used again, after its file was accepted or dropped, reaches no blob.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pinnace.core.adapters.blob_names import checked
from pinnace.core.adapters.s3.blobs import S3Blobs
from pinnace.core.adapters.s3.bucket import Bucket
from pinnace.core.model.files import UploadForm

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef


class S3Uploads:
    """`DirectUploads` under `prefix`, for the blobs of the same bucket."""

    def __init__(self, bucket: Bucket, prefix: str, blobs: S3Blobs) -> None:
        self._bucket, self._prefix, self._blobs = bucket, checked(prefix), blobs

    async def offer(self, name: str, size: int, seconds: float) -> UploadForm:
        key = self._key(name)

        def work(client: S3Client) -> UploadForm:
            form = client.generate_presigned_post(
                self._bucket.name, key, Conditions=[["content-length-range", size, size]], ExpiresIn=int(seconds)
            )
            return UploadForm(form["url"], "POST", form["fields"])

        return await self._bucket.run(work)

    async def accept(self, name: str, blob: str) -> int | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and not every host has it

        key = self._key(name)

        def size(client: S3Client) -> int | None:
            try:
                return client.head_object(Bucket=self._bucket.name, Key=key)["ContentLength"]
            except ClientError as error:
                # There is no body in an answer to HEAD that could say `NoSuchKey`.
                if error.response.get("Error", {}).get("Code") not in {"404", "NoSuchKey"}:
                    raise
                return None

        sent = await self._bucket.run(size)
        if sent is not None:
            await self._blobs.adopt(key, blob)
        return sent

    async def remove(self, name: str) -> None:
        key = self._key(name)
        await self._bucket.run(lambda client: client.delete_object(Bucket=self._bucket.name, Key=key))

    async def discard(self, before: float) -> None:
        moment = datetime.fromtimestamp(before, UTC)

        def work(client: S3Client) -> None:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=f"{self._prefix}/"
            )
            for page in pages:
                old: list[ObjectIdentifierTypeDef] = [
                    {"Key": found.get("Key", "")}
                    for found in page.get("Contents", ())
                    if found.get("LastModified", moment) < moment
                ]
                if old:
                    client.delete_objects(Bucket=self._bucket.name, Delete={"Objects": old, "Quiet": True})

        await self._bucket.run(work)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{checked(name)}"
