"""Knows how files are kept in S3; see `pinnace.core.ports.Blobs` for what it promises.

`put` is one request up to 8 MiB and a multipart upload beyond, `get` is two (how large it is, and the file), `copy` is two,
`read` and `delete` are one, and `delete_all` is two for 1,000 files. S3 shows a file that was written at once, and never a part
of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pinnace.core.adapters.blob_names import PIECE, checked
from pinnace.core.adapters.s3.bucket import PARTS, Bucket
from pinnace.core.errors import StoreFailed
from pinnace.core.ports import BlobEntry

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef, ObjectTypeDef

#: What one DeleteObjects takes.
AT_ONCE = 1_000


class S3Blobs:
    """`Blobs` in a bucket, under `prefix`."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket, self._prefix = bucket, checked(prefix)

    async def put(self, name: str, source: Path) -> None:
        key = self._key(name)
        await self._bucket.run(
            lambda client: client.upload_file(str(source), self._bucket.name, key, Config=_transfer())
        )

    async def take(self, name: str, source: Path) -> None:
        await self.put(name, source)

    async def get(self, name: str, target: Path) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and not every host has it

        key = self._key(name)

        def work(client: S3Client) -> bool:
            try:
                client.download_file(self._bucket.name, key, str(target), Config=_transfer())
            except ClientError as error:
                # There is no body in an answer to HEAD that could say `NoSuchKey`.
                if error.response.get("Error", {}).get("Code") not in {"404", "NoSuchKey"}:
                    raise
                return False
            return True

        return await self._bucket.run(work)

    async def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        if length == 0:
            return
        body = await self._bucket.run(lambda client: self._open(client, self._key(name), start, length))
        if body is None:
            return
        with contextlib.closing(body):
            while piece := await self._bucket.run(lambda _client: body.read(PIECE)):
                yield piece

    async def copy(self, source: str, target: str) -> None:
        await self.adopt(self._key(source), target)

    async def adopt(self, there: str, target: str) -> None:
        """Keep a copy of whatever lies under a key of the bucket."""
        here = self._key(target)
        await self._bucket.run(
            lambda client: client.copy(
                {"Bucket": self._bucket.name, "Key": there}, self._bucket.name, here, Config=_transfer()
            )
        )

    async def move(self, source: str, target: str) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and not every host has it

        there, here = self._key(source), self._key(target)

        def work(client: S3Client) -> bool:
            known = {"Bucket": self._bucket.name, "Key": there}
            try:
                client.copy(known, self._bucket.name, here, Config=_transfer())  # type: ignore[arg-type]  # it is a CopySource
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in {"404", "NoSuchKey"}:
                    raise
                return False
            client.delete_object(Bucket=self._bucket.name, Key=there)
            return True

        return await self._bucket.run(work)

    async def listed(self, prefix: str, limit: int) -> Sequence[BlobEntry]:
        begins = f"{self._key(prefix)}/"

        def work(client: S3Client) -> list[BlobEntry]:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name,
                Prefix=begins,
                PaginationConfig={"PageSize": min(AT_ONCE, limit), "MaxItems": limit},
            )
            return [self._entry(found) for page in pages for found in page.get("Contents", ())]

        return await self._bucket.run(work)

    async def delete(self, name: str) -> None:
        key = self._key(name)
        await self._bucket.run(lambda client: client.delete_object(Bucket=self._bucket.name, Key=key))

    async def delete_all(self, prefix: str) -> None:
        begins = f"{self._key(prefix)}/"

        def work(client: S3Client) -> None:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name, Prefix=begins, PaginationConfig={"PageSize": AT_ONCE}
            )
            for page in pages:
                keys: list[ObjectIdentifierTypeDef] = [
                    {"Key": found.get("Key", "")} for found in page.get("Contents", ())
                ]
                if keys:
                    self._delete(client, keys)

        await self._bucket.run(work)

    def _open(self, client: S3Client, key: str, start: int, length: int | None) -> StreamingBody | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - heavy, and not every host has it

        end = "" if length is None else start + length - 1
        try:
            return client.get_object(Bucket=self._bucket.name, Key=key, Range=f"bytes={start}-{end}")["Body"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            # Beyond the end there is nothing, as in any other file.
            if code == "InvalidRange":
                return None
            if code != "NoSuchKey":
                raise
            raise StoreFailed("A file that the server kept is not there any more.") from error

    def _delete(self, client: S3Client, keys: list[ObjectIdentifierTypeDef]) -> None:
        answer = client.delete_objects(Bucket=self._bucket.name, Delete={"Objects": keys, "Quiet": True})
        if answer.get("Errors"):
            raise StoreFailed("The server's store of files did not delete all that it should.")

    def _entry(self, found: ObjectTypeDef) -> BlobEntry:
        name, modified = found.get("Key", "").removeprefix(f"{self._prefix}/"), found.get("LastModified")
        return BlobEntry(name, found.get("Size", 0), modified.timestamp() if modified else 0.0)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{checked(name)}"


@cache
def _transfer() -> TransferConfig:
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - heavy, and not every host has it

    return TransferConfig(max_concurrency=PARTS, preferred_transfer_client="classic")
