"""Knows where the bytes of passages lie, before and after they count: in items, or in files where they are larger.

It must not know who may write, or in what order. What is written here counts for nothing until a passage's own item names it.

::

    pk                 sk                        holds
    transcript#NAME    data#TOKEN-NUMBER#0000    a piece of a passage
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinnace.core.adapters.dynamodb.heads import Head
from pinnace.core.adapters.dynamodb.items import Item, Value, Where
from pinnace.core.adapters.dynamodb.passages import Line, passages_of
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.errors import StoreFailed
from pinnace.core.ports import Blobs

#: Bytes of a batch that are kept in the passage's own item: a transaction costs twice as much, but saves a round trip.
INLINE = 16_000
#: Bytes of a piece; an item has 400 KB at most.
PIECE = 256_000
#: Files that are read or written at once.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Draft:
    """A batch whose bytes are written: its lines, and what the items of its passages hold, `token` in each."""

    head: Head
    token: str
    lines: Sequence[Line]
    passages: Sequence[dict[str, Value]]


class Drafts:
    """The bytes of all transcripts; without `blobs` all of them lie in the table."""

    def __init__(self, table: Table, blobs: Blobs | None) -> None:
        self._table, self._blobs = table, blobs

    async def write(self, head: Head, lines: Sequence[Line]) -> Draft:
        """Write what is too large for the items of the passages."""
        passages = await asyncio.to_thread(passages_of, lines)
        inline = sum(len(passage.data) for passage in passages) <= INLINE
        token, written = secrets.token_hex(8), list[dict[str, Value]]()
        for number, passage in enumerate(passages):
            values: dict[str, Value] = {"token": token}
            if passage.prints:
                values["prints"] = passage.prints
            if inline:
                values["data"] = passage.data
            else:
                values |= await self._put(head, f"{token}-{number}", passage.data)
            written.append(values)
        return Draft(head, token, lines, written)

    async def read(self, head: Head, passages: Sequence[Item]) -> list[bytes]:
        """Read the bytes of passages.

        Raises:
            StoreFailed: some are not there, as where the transcript was deleted meanwhile.
        """
        wheres = [where for passage in passages for where in _pieces(head, passage)]
        pieces = await self._table.run(lambda session: session.get_many(wheres)) if wheres else {}
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(passage: Item) -> bytes:
            if "data" in passage:
                return bytes(passage["data"])
            if "blob" in passage:
                async with turns:
                    return await self._get(str(passage["blob"]))
            return b"".join(bytes(pieces[where]["data"]) for where in _pieces(head, passage))

        try:
            return await asyncio.gather(*(one(passage) for passage in passages))
        except KeyError as error:
            raise StoreFailed("A part of this session's transcript is not there.") from error

    async def drop(self, head: Head, passages: Sequence[Item]) -> None:
        """Drop the bytes of passages."""
        wheres = [where for passage in passages for where in _pieces(head, passage)]
        if wheres:
            await self._table.run(lambda session: session.delete_many(wheres))
        for passage in passages:
            if self._blobs is not None and "blob" in passage:
                await self._blobs.delete(str(passage["blob"]))

    async def drop_all(self, name: str) -> None:
        """Drop the files of a transcript, also those that no passage names; its items are dropped with the rest."""
        if self._blobs is not None:
            await self._blobs.delete_all(f"transcripts/{name}")

    async def _put(self, head: Head, own: str, data: bytes) -> dict[str, Value]:
        if self._blobs is not None and len(data) > PIECE:
            name = f"transcripts/{head.name}/{own}"
            with tempfile.TemporaryDirectory() as directory:
                source = Path(directory) / "passage"
                await asyncio.to_thread(source.write_bytes, data)
                await self._blobs.put(name, source)
            return {"blob": name}
        begins = range(0, len(data), PIECE)
        values: dict[str, Value] = {"own": own, "pieces": len(begins)}
        items = {
            where: {"data": data[begin : begin + PIECE]}
            for where, begin in zip(_pieces(head, values), begins, strict=True)
        }
        await self._table.run(lambda session: session.put_many(items))
        return values

    async def _get(self, name: str) -> bytes:
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / "passage"
            if self._blobs is None or not await self._blobs.get(name, target):
                raise KeyError(name)
            return await asyncio.to_thread(target.read_bytes)


def _pieces(head: Head, passage: Item) -> list[Where]:
    return [(head.pk, f"data#{passage['own']}#{number:04}") for number in range(int(passage.get("pieces", 0)))]
