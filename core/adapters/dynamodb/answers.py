"""Knows how kept answers lie in DynamoDB; see `pinnace.core.ports.AnswerStore` for what the store promises.

::

    pk                      sk      holds
    answers#KIND#PROJECT    NAME    `fingerprint`, `expires`, and `answer` once it is there

An item has 400 KB at most, so an answer is compressed, and one that is too large even then is not kept: its claim is given up.
"""

from __future__ import annotations

import base64
import zlib

from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Delete, Item, Where
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer

#: Characters of an answer, of the 400 KB that an item may have with everything in it.
LARGEST = 380_000
#: Items that one transaction deletes.
AT_ONCE = 25


class DynamoAnswerStore:
    """`AnswerStore` in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def claim(self, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
        return await self._table.run(lambda session: _claim(session, answer_id, fingerprint, now, until))

    async def keep(self, answer_id: AnswerId, answer: KeptAnswer, now: float, until: float) -> None:
        del now
        written = base64.b85encode(zlib.compress(answer.answer or b"")).decode()
        if len(written) > LARGEST:
            await self.release(answer_id)
            return
        change = Change(_where(answer_id))
        change.set("fingerprint", change.value(answer.fingerprint))
        change.set("answer", change.value(written))
        change.set("expires", change.value(until))
        await self._table.run(lambda session: session.change(change))

    async def look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None:
        item = await self._table.run(lambda session: session.get(_where(answer_id)))
        return None if item is None or float(item["expires"]) <= now else _kept(item)

    async def release(self, answer_id: AnswerId) -> None:
        await self._table.run(lambda session: _release(session, answer_id))

    async def forget(self, kind: AnswerKind, project_id: str) -> int:
        return await self._table.run(lambda session: _forget(session, f"answers#{kind.value}#{project_id}"))


def _where(answer_id: AnswerId) -> Where:
    return f"answers#{answer_id.kind.value}#{answer_id.project_id}", answer_id.name


def _kept(item: Item) -> KeptAnswer:
    written = item.get("answer")
    answer = None if written is None else zlib.decompress(base64.b85decode(str(written)))
    return KeptAnswer(str(item["fingerprint"]), answer)


def _claim(session: Session, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
    change = Change(_where(answer_id))
    expires = change.name("expires")
    change.require(f"attribute_not_exists({expires}) OR {expires} <= {change.value(now)}")
    change.set("fingerprint", change.value(fingerprint))
    change.set("expires", change.value(until))
    change.remove("answer")
    try:
        session.change(change)
    except ConditionFailed as failed:
        return _kept(failed.items[0])
    return None


def _release(session: Session, answer_id: AnswerId) -> None:
    change = Change(_where(answer_id))
    change.require_item()
    change.require(f"attribute_not_exists({change.name('answer')})")
    change.set("expires", change.value(0))
    try:
        session.change(change)
    except ConditionFailed:
        # It was answered meanwhile, or is not there.
        return


def _forget(session: Session, pk: str) -> int:
    items = session.query(pk)
    for begin in range(0, len(items), AT_ONCE):
        session.transact(*(Delete((pk, str(item["sk"]))) for item in items[begin : begin + AT_ONCE]))
    return len(items)
