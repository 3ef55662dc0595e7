"""Knows how transcripts lie in DynamoDB; see `pinnace.core.ports.Transcripts` for what it promises.

::

    pk                 sk                 holds
    transcript#NAME    PART#000000000000  since: the version after which a subpath began; PART is a hash of the subpath
    transcript#NAME    PART#VERSION       a passage: its bytes, or where they lie (`drafts`), and its entries' prints
    transcript#NAME    subpaths#PART      the subpath

An append is one transaction of the head (`heads`) and of passages, of 2,000 entries each. Of n entries it costs

- 1 TransactWriteItems of 1 + n / 2,000 items, two more where a subpath begins, if this process was the last to read or write it;
- an UpdateItem and a Query of all passages, without their pieces, before it, if this process has not seen the transcript;
- a Query of what others appended since, and the transaction again, if they did;
- a BatchWriteItem for 25 pieces, or a file in S3, before it, if the entries are more than 16 KB, compressed.

A load is a GetItem and a Query, and a BatchGetItem for 100 pieces.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from zlib import crc32

from pinnace.core.adapters.dynamodb.drafts import Draft, Drafts
from pinnace.core.adapters.dynamodb.heads import (
    Gone,
    Head,
    advance,
    find_head,
    head_from,
    mark_gone,
    open_head,
    where_of,
)
from pinnace.core.adapters.dynamodb.items import Action, ConditionFailed, Delete, Item, Put, Where
from pinnace.core.adapters.dynamodb.passages import entries_from, fresh, lines_of
from pinnace.core.adapters.dynamodb.recent import Recent
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.model.sessions import overtaken
from pinnace.core.ports import Blobs, Clock, Entry, TranscriptKey

#: Transcripts whose prints are remembered; each print has 12 bytes.
REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process has seen of a transcript: up to which version, the prints, and whether anything was written."""

    head: Head
    prints: bytes
    there: bool


class _Undone(Exception):
    """A draft does not count, and never will; `known` is what the next one begins with, `cause` why there must be none."""

    def __init__(self, known: _Known | None, cause: Exception | None) -> None:
        super().__init__()
        self.known, self.cause = known, cause


class DynamoTranscripts:
    """`Transcripts` in a table; what does not fit an item lies in `blobs`, or in several items where there are none."""

    def __init__(self, table: Table, clock: Clock, blobs: Blobs | None = None) -> None:
        self._table, self._clock = table, clock
        self._drafts = Drafts(table, blobs)
        self._known: Recent[_Known] = Recent(REMEMBERED)
        self._turns = [threading.Lock() for _ in range(REMEMBERED)]

    async def append(self, key: TranscriptKey, entries: list[Entry], *, fence: int = 0) -> None:
        lines = await self._table.run(lambda _session: lines_of(entries))
        while True:
            try:
                seen = self._known.get(_name(key)) or await self._opened(key, fence)
                draft = await self._drafts.write(seen.head, fresh(lines, seen.prints))
                if await self._commit(key, seen, draft, fence):
                    return
            except Gone:
                await self._bury(key, again=True)

    async def load(self, key: TranscriptKey) -> list[Entry] | None:
        head = await self._table.run(lambda session: find_head(session, where_of(key)))
        if head is None:
            return None
        known, passages = await self._table.run(lambda session: _read(session, key, head, None))
        if not known.there:
            return None
        texts = await self._drafts.read(head, passages)
        entries = await self._table.run(lambda _session: [entry for text in texts for entry in entries_from(text)])
        self._known.put(_name(key), known)
        return entries

    async def list_subkeys(self, key: TranscriptKey) -> list[str]:
        def work(session: Session) -> list[str]:
            head = find_head(session, where_of(key))
            listed = [] if head is None else session.query(head.pk, between=("subpaths#", "subpaths$"))
            return [item["subpath"] for item in listed if "subpath" in item]

        return await self._table.run(work)

    async def list_sessions(self, project_key: str) -> list[dict[str, Any]]:
        items = await self._table.run(lambda session: session.query(f"transcripts#{project_key}"))
        said = [(int(item["mtime"]), str(item["sk"])) for item in items if "main" in item and "gone" not in item]
        found, last = list[dict[str, Any]](), 0
        for mtime, session_id in sorted(said):
            # Two servers may write in the same millisecond.
            last = max(mtime, last + 1)
            found.append({"session_id": session_id, "mtime": last})
        return found

    async def delete(self, key: TranscriptKey) -> None:
        self._known.forget(_name(key))
        if not key.get("subpath"):
            await self._bury(key, again=False)
            return
        cut = await self._table.run(lambda session: _cut(session, key))
        if cut is not None:
            head, passages = cut
            await self._drafts.drop(head, passages)
            wheres = [(head.pk, str(passage["sk"])) for passage in passages]
            await self._table.run(lambda session: session.delete_many(wheres))

    async def guard(self, key: TranscriptKey, fence: int) -> None:
        try:
            await self._table.run(lambda session: open_head(session, where_of(key), fence))
        except Gone:
            await self._bury(key, again=True)
            await self._table.run(lambda session: open_head(session, where_of(key), fence))

    async def _opened(self, key: TranscriptKey, fence: int) -> _Known:
        def work(session: Session) -> _Known:
            return _read(session, key, open_head(session, where_of(key), fence), None)[0]

        return await self._table.run(work)

    async def _commit(self, key: TranscriptKey, seen: _Known, draft: Draft, fence: int) -> bool:
        """Make a draft count; False where it cannot any more, and the next one must begin with what is known then."""
        now = int(self._clock.now() * 1000)

        def work(session: Session) -> None:
            # One at a time, so that those of this process do not overtake each other without end.
            with self._turns[crc32(_name(key).encode()) % len(self._turns)]:
                latest = self._known.get(_name(key))
                fits = latest is not None and latest.head.follows(seen.head) and _is_fresh(draft, latest)
                known = _commit(session, key, latest if fits and latest else seen, draft, fence, now)
                self._known.put(_name(key), known)

        try:
            await self._table.run(work)
        except _Undone as undone:
            # Only here: any other failure may be an answer that was lost, and the draft may count.
            await self._drafts.drop(draft.head, draft.passages)
            if undone.known is not None:
                self._known.put(_name(key), undone.known)
                return False
            self._known.forget(_name(key))
            if undone.cause is not None:
                raise undone.cause from undone
            return False
        return True

    async def _bury(self, key: TranscriptKey, *, again: bool) -> None:
        """Leave nothing of a transcript. Whoever dies in the middle leaves it marked, and the next goes on."""
        where = where_of(key)
        name = await self._table.run(lambda session: mark_gone(session, where, again=again))
        if name is None:
            return
        await self._drafts.drop_all(name)

        def work(session: Session) -> None:
            items = session.query(f"transcript#{name}", only_keys=True)
            session.delete_many([(item["pk"], item["sk"]) for item in items])
            try:
                session.transact(Delete(where, {"name": name}))
            except ConditionFailed:
                # Somebody else has finished it.
                return

        await self._table.run(work)


def _name(key: TranscriptKey) -> str:
    return repr((key["project_key"], key["session_id"], key.get("subpath") or ""))


def _part(key: TranscriptKey) -> str:
    return sha256((key.get("subpath") or "").encode()).hexdigest()[:32]


def _numbered(key: TranscriptKey, number: int) -> str:
    return f"{_part(key)}#{number:012}"


def _read(session: Session, key: TranscriptKey, head: Head, known: _Known | None) -> tuple[_Known, list[Item]]:
    """Read the passages of a subpath that count and are not known yet."""
    before = known if known is not None and head.follows(known.head) else None
    first = before.head.version + 1 if before is not None and before.there else 0
    bounds = _numbered(key, first), _numbered(key, head.version)
    # DynamoDB refuses bounds that are the wrong way round.
    passages = session.query(head.pk, between=bounds) if first <= head.version else []
    there = first > 0
    if passages and str(passages[0]["sk"]) == _numbered(key, 0):
        since, there = int(passages[0]["since"]), True
        # What is older was deleted, by somebody who died before it was dropped.
        passages = [passage for passage in passages if str(passage["sk"]) > _numbered(key, since)]
    elif not there:
        passages = []
    prints = (before.prints if before is not None else b"", *(bytes(one.get("prints", b"")) for one in passages))
    return _Known(head, b"".join(prints), there), passages


def _commit(session: Session, key: TranscriptKey, seen: _Known, draft: Draft, fence: int, now: int) -> _Known:
    known = seen
    for _ in session.attempts():
        before = known.head
        after = replace(before, version=before.version + len(draft.passages), mtime=max(now, before.mtime + 1))
        try:
            session.transact(*_actions(key, known, after, draft, fence))
        except ConditionFailed as failed:
            known, others = _looked(session, key, known, failed.items.get(0))
            if any(passage["token"] == draft.token for passage in others):
                # An answer was lost, and the transaction has been sent again.
                break
            if int(failed.items[0]["fence"]) > fence:
                raise _Undone(None, overtaken()) from failed
            if not (_is_fresh(draft, known) and known.head.follows(before)):
                raise _Undone(known, None) from failed
            continue
        prints = b"".join((known.prints, *(line.print for line in draft.lines)))
        known = _Known(after, prints, known.there or bool(draft.passages))
        break
    return known


def _is_fresh(draft: Draft, known: _Known) -> bool:
    return len(fresh(draft.lines, known.prints)) == len(draft.lines)


def _looked(session: Session, key: TranscriptKey, known: _Known, item: Item | None) -> tuple[_Known, Sequence[Item]]:
    """What others have written, where the head was not as expected but as `item`."""
    if not item or item["name"] != known.head.name:
        raise _Undone(None, None)
    if "gone" in item:
        raise _Undone(None, Gone())
    return _read(session, key, head_from(item), known)


def _actions(key: TranscriptKey, known: _Known, after: Head, draft: Draft, fence: int) -> list[Action]:
    change, before = advance(where_of(key), known.head, after, fence), known.head
    actions: list[Action] = [change]
    subpath = key.get("subpath") or ""
    if draft.passages and not subpath:
        change.set("main", change.value(1))
    if draft.passages and not known.there:
        actions.append(Put((before.pk, _numbered(key, 0)), {"since": before.version}))
        if subpath:
            actions.append(Put((before.pk, f"subpaths#{_part(key)}"), {"subpath": subpath}))
    return actions + [
        Put((before.pk, _numbered(key, number)), values)
        for number, values in enumerate(draft.passages, start=before.version + 1)
    ]


def _cut(session: Session, key: TranscriptKey) -> tuple[Head, Sequence[Item]] | None:
    """Make a subpath's passages count no more, and give them."""
    where: Where = where_of(key)
    for _ in session.attempts():
        head = find_head(session, where)
        if head is None:
            return None
        known, passages = _read(session, key, head, None)
        if not known.there:
            return None
        after = replace(head, version=head.version + 1, cut=head.version + 1)
        marks = [Delete((head.pk, sk)) for sk in (_numbered(key, 0), f"subpaths#{_part(key)}")]
        try:
            session.transact(advance(where, head, after, None), *marks)
        except ConditionFailed:
            continue
        return head, passages
    return None
