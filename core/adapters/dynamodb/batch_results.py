"""Knows where the bytes of a batch's results lie: in items, or in files where they are larger; it must not know what counts.

::

    pk                    sk        holds
    results#PROJECT#ID    NUMBER    verdict, microusd, and data: the document, compressed; or file: where it lies

A file that no item names is one of somebody who was not the first, or died; it is dropped with the rest of the batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tempfile
import zlib
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from pinnace.core.adapters.dynamodb.batch_holds import holds_of, numbered, results_of
from pinnace.core.adapters.dynamodb.items import Item, Value
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.errors import StoreFailed
from pinnace.core.model.batches import ItemResult, Task, Verdict
from pinnace.core.ports import Blobs

#: Compressed bytes that are kept in an item, which has 400 KB at most: in a transaction a KB of it costs as much as two writes,
#: and a file in S3 as much as eight.
INLINE = 16_000
#: Results that are read at a time, and files.
AT_ONCE, FILES_AT_ONCE = 200, 8
#: Items whose keys are read, and that are dropped, at a time.
DROPPED = 1_000
_LAST = "9" * 12


class BatchResults:
    """The results of all batches; large ones lie in `blobs`, under names that begin with `items/`."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table, self._blobs = table, blobs

    async def write(self, task: Task, result: ItemResult) -> dict[str, Value]:
        """Write what is too large for an item; gives what the item holds."""
        values: dict[str, Value] = {"verdict": result.verdict.value, "microusd": result.microusd}
        data = await asyncio.to_thread(zlib.compress, result.document)
        if len(data) <= INLINE:
            return values | {"data": data}
        name = f"{_folder(task.project_id, task.batch_id)}/{task.item.number}-{secrets.token_hex(8)}"
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory) / "result"
            await asyncio.to_thread(source.write_bytes, data)
            await self._blobs.put(name, source)
        return values | {"file": name}

    async def withdraw(self, values: Mapping[str, Value]) -> None:
        """Drop what `write` wrote for a result that does not count."""
        if "file" in values:
            await self._blobs.delete(str(values["file"]))

    async def read(self, project_id: str, batch_id: str) -> AsyncGenerator[tuple[int, ItemResult], None]:
        """The results with their items' numbers, in their order."""
        pk, first = results_of(project_id, batch_id), numbered(0)
        while True:
            page = await self._page(pk, first)
            for begin in range(0, len(page), FILES_AT_ONCE):
                some = page[begin : begin + FILES_AT_ONCE]
                for item, document in zip(some, await asyncio.gather(*map(self._document, some)), strict=True):
                    yield int(item["sk"]), ItemResult(Verdict(item["verdict"]), document, int(item["microusd"]))
            if len(page) < AT_ONCE:
                return
            first = numbered(int(page[-1]["sk"]) + 1)

    async def drop_all(self, project_id: str, batch_id: str) -> None:
        """Drop the results of a batch, and who holds its items."""
        for pk in (holds_of(project_id, batch_id), results_of(project_id, batch_id)):
            while await self._drop(pk) == DROPPED:
                pass
        await self._blobs.delete_all(_folder(project_id, batch_id))

    async def _page(self, pk: str, first: str) -> list[Item]:
        return await self._table.run(lambda items: items.query(pk, between=(first, _LAST), limit=AT_ONCE))

    async def _drop(self, pk: str) -> int:
        """Drop some items of a `pk`, and say how many."""

        def work(items: Items) -> int:
            found = items.query(pk, limit=DROPPED, only_keys=True)
            items.delete_many([(str(item["pk"]), str(item["sk"])) for item in found])
            return len(found)

        return await self._table.run(work)

    async def _document(self, item: Item) -> bytes:
        if "data" in item:
            return zlib.decompress(bytes(item["data"]))
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "result"
            if not await self._blobs.get(str(item["file"]), target):
                raise StoreFailed("A result that the server kept is not there any more.")
            return await asyncio.to_thread(lambda: zlib.decompress(target.read_bytes()))


def _folder(project_id: str, batch_id: str) -> str:
    """What the names of a batch's results begin with; nothing of it is a caller's word."""
    return f"items/{hashlib.sha256(f'{project_id}#{batch_id}'.encode()).hexdigest()[:32]}"
