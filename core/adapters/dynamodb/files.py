"""Knows how files' records lie in DynamoDB; see `pinnace.core.ports.Files` for what it promises.

::

    pk                 sk           holds
    file#PROJECT       ID           document, state, size, due: the moment of its entry below, where it has one
    storage#PROJECT    bytes        bytes, of all the project's files
    filing#0..3        MOMENT#ID    project_id; the moment is in milliseconds

Each step of a file is one transaction, so that its item, its entry and the project's bytes always agree; DynamoDB's own TTL
deletes days late and is not used. `find` is one request; `page` is one for a megabyte, and more where many uploads are under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

from pinnace.core.adapters.dynamodb.items import Action, Change, ConditionFailed, Delete, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.adapters.file_documents import encode_file, file_from
from pinnace.core.errors import StorageExceeded
from pinnace.core.model.files import ID_PREFIX, FileState, StoredFile

#: Over how many `pk` the entries are spread: one takes about 1,000 writes a second.
SHARDS = 4
#: Milliseconds, of one length until the year 2286; nothing expires later than that.
_LAST = 10**13 - 1
_FIRST_ID, _LAST_ID = ID_PREFIX, f"{ID_PREFIX}g"


class DynamoFiles:
    """`Files` in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def begin(self, upload: StoredFile, quota: int) -> None:
        await self._table.run(lambda items: _begin(items, upload, quota))

    async def complete(self, file: StoredFile) -> bool:
        return await self._step(FileState.UPLOADING, replace(file, state=FileState.READY))

    async def withdraw(self, file: StoredFile) -> bool:
        return await self._step(file.state, replace(file, state=FileState.LEAVING))

    async def remove(self, file: StoredFile) -> bool:
        return await self._table.run(lambda items: _remove(items, file))

    async def find(self, project_id: str, file_id: str) -> StoredFile | None:
        item = await self._table.run(lambda items: items.get(_where(project_id, file_id)))
        return None if item is None else _file(item)

    async def many(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        wheres = [_where(project_id, file_id) for file_id in dict.fromkeys(file_ids)]
        found = await self._table.run(lambda items: items.get_many(wheres))
        return sorted((_file(item) for item in found.values()), key=lambda file: file.id, reverse=True)

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[StoredFile]:
        if before is None:
            return await self._table.run(lambda items: _page(items, project_id, limit, after or _LAST_ID, older=True))
        return await self._table.run(lambda items: _page(items, project_id, limit, before, older=False))

    async def expired(self, now: float, limit: int) -> Sequence[StoredFile]:
        return await self._table.run(lambda items: _expired(items, now, limit))

    async def used(self, project_id: str) -> int:
        item = await self._table.run(lambda items: items.get(_storage(project_id)))
        return 0 if item is None else int(item["bytes"])

    async def _step(self, state: FileState, becomes: StoredFile) -> bool:
        return await self._table.run(lambda items: _step(items, state, becomes))


def _where(project_id: str, file_id: str) -> Where:
    return f"file#{project_id}", file_id


def _storage(project_id: str) -> Where:
    return f"storage#{project_id}", "bytes"


def _place(file_id: str, moment: int) -> Where:
    return f"filing#{crc32(file_id.encode()) % SHARDS}", f"{moment:013}#{file_id}"


def _moment(file: StoredFile) -> int | None:
    return None if file.due is None else max(0, min(int(file.due * 1000), _LAST))


def _file(item: Item) -> StoredFile:
    return file_from(item["document"])


def _written(file: StoredFile) -> dict[str, Value]:
    moment = _moment(file)
    due: dict[str, Value] = {} if moment is None else {"due": moment}
    return {"document": encode_file(file), "state": file.state.value, "size": file.size} | due


def _entries(file: StoredFile) -> list[Action]:
    moment = _moment(file)
    return [] if moment is None else [Put(_place(file.id, moment), {"project_id": file.project_id})]


def _begin(items: Items, upload: StoredFile, quota: int) -> None:
    room = quota - upload.size
    counted = Change(_storage(upload.project_id))
    counted.add("bytes", upload.size)
    used = counted.name("bytes")
    counted.require(f"attribute_not_exists({used}) OR {used} <= {counted.value(room)}")
    put = Put(_where(upload.project_id, upload.id), _written(upload))
    try:
        if room < 0:
            raise ConditionFailed({})
        items.transact(counted, put, *_entries(upload))
    except ConditionFailed as failed:
        present = failed.items.get(0) or items.get(_storage(upload.project_id)) or {}
        left = quota - int(present.get("bytes", 0))
        raise StorageExceeded(limit=quota, left=left, needed=upload.size) from failed


def _step(items: Items, state: FileState, becomes: StoredFile) -> bool:
    where = _where(becomes.project_id, becomes.id)
    for _ in items.attempts():
        item = items.get(where)
        if item is None or item["state"] != state.value:
            return False
        change = Change(where)
        change.require(f"{change.name('state')} = {change.value(state.value)}")
        written = _written(becomes)
        for attribute, value in written.items():
            change.set(attribute, change.value(value))
        if "due" not in written:
            change.remove("due")
        old = [Delete(_place(becomes.id, int(item["due"])))] if "due" in item else []
        same = "due" in item and item["due"] == written.get("due")
        try:
            items.transact(change, *([] if same else [*old, *_entries(becomes)]))
        except ConditionFailed:
            # Somebody has made a step in the meantime.
            continue
        break
    return True


def _remove(items: Items, file: StoredFile) -> bool:
    where = _where(file.project_id, file.id)
    item = items.get(where)
    if item is None or item["state"] != FileState.LEAVING.value:
        return False
    counted = Change(_storage(file.project_id))
    counted.add("bytes", -int(item["size"]))
    try:
        # A file that is leaving makes no other step, so its entry is where it was.
        items.transact(Delete(where), Delete(_place(file.id, int(item["due"]))), counted)
    except ConditionFailed:
        return False
    return True


def _page(items: Items, project_id: str, limit: int, edge: str, *, older: bool) -> list[StoredFile]:
    """Read on until there are enough: what is uploading or leaving lies among the rest."""
    found: list[StoredFile] = []
    while len(found) < limit:
        # A character less, or more, than the id itself.
        between = (_FIRST_ID, _before(edge)) if older else (f"{edge}!", _LAST_ID)
        asked = limit + 1
        read = items.query(f"file#{project_id}", between=between, limit=asked, latest_first=older)
        found += [_file(item) for item in read if item["state"] == FileState.READY.value]
        if len(read) < asked:
            break
        edge = str(read[-1]["sk"])
    found = found[:limit]
    return found if older else found[::-1]


def _before(file_id: str) -> str:
    """The greatest name that is less than an id, among names of the same length or longer."""
    return f"{file_id[:-1]}{chr(ord(file_id[-1]) - 1)}~"


def _expired(items: Items, now: float, limit: int) -> list[StoredFile]:
    # `$` comes after `#`, so it is behind everything of this moment.
    last = f"{max(0, min(int(now * 1000), _LAST)):013}$"
    over: list[StoredFile] = []
    for shard in range(SHARDS):
        entries = items.query(f"filing#{shard}", between=("0", last), limit=limit - len(over))
        wheres = [_where(entry["project_id"], str(entry["sk"]).partition("#")[2]) for entry in entries]
        found = items.get_many(wheres)
        over += [_file(found[where]) for where in wheres if where in found]
        if len(over) >= limit:
            break
    return over
