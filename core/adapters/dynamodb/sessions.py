"""Knows how sessions lie in DynamoDB; see `pinnace.core.ports.Sessions` for what it promises.

::

    pk                 sk        holds
    session#PROJECT    ID        document, fence, held_until, holder, number in the list, due: the moment of its `expiries`
    sessions#PROJECT   0001...   the ids of the project's sessions, in the order of creation
    counter#PROJECT    number    the last number that was given

Each operation is one round trip, but these: `add` takes a number first, `remove` reads the item first, `page` reads the list and
then the sessions (and the one it goes on after), `save` takes a second one where the session would expire before its entry says.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import replace

from pinnace.core.adapters.documents import encode, session_from
from pinnace.core.adapters.dynamodb.expiries import due, entry_of, expired, place_of
from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Delete, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.errors import RequestTooLarge
from pinnace.core.model.sessions import Session, held_by_another

#: Characters from which a document is compressed, and that it may have then; an item has 400 KB at most.
_LONG, _LARGEST = 16_000, 380_000
_LAST = "9" * 16


class DynamoSessions:
    """`Sessions` in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, session: Session) -> bool:
        return await self._table.run(lambda items: _add(items, session))

    async def find(self, project_id: str, session_id: str) -> Session | None:
        item = await self._table.run(lambda items: items.get(_where(project_id, session_id)))
        return None if item is None else _session(item)

    async def page(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Session]:
        return await self._table.run(lambda items: _page(items, project_id, limit, after))

    async def acquire(self, project_id: str, session_id: str, now: float, until: float) -> Session | None:
        change, holder = Change(_where(project_id, session_id)), secrets.token_hex(8)
        change.require_item()
        change.require(f"{change.name('held_until')} <= {change.value(now)}")
        change.set("held_until", change.value(until))
        change.set("holder", change.value(holder))
        change.add("fence", 1)
        try:
            return _session(await self._table.run(lambda items: items.change(change)))
        except ConditionFailed as failed:
            item = failed.items[0]
            if not item:
                return None
            # An answer was lost, and botocore has asked again.
            if item.get("holder") == holder:
                return _session(item)
            raise held_by_another(_session(item), now) from failed

    async def renew(self, session: Session, until: float) -> bool:
        change = _held(session)
        change.set("held_until", change.value(until))
        return await self._table.run(lambda items: _changed(items, change))

    async def save(self, session: Session) -> bool:
        return await self._table.run(lambda items: _save(items, session))

    async def remove(self, session: Session) -> bool:
        return await self._table.run(lambda items: _remove(items, session))

    async def expired(self, now: float, limit: int) -> Sequence[Session]:
        return await self._table.run(lambda items: expired(items, now, limit, _where, _session))


def _where(project_id: str, session_id: str) -> Where:
    return f"session#{project_id}", session_id


def _written(session: Session) -> dict[str, Value]:
    document = encode(session)
    if len(document) > _LONG:
        # Never the first character of what is not compressed.
        document = f"z{base64.b85encode(zlib.compress(document.encode())).decode()}"
    if len(document) > _LARGEST:
        raise RequestTooLarge("A session's system prompt and tools are too large to be kept.", limit=_LARGEST)
    return {"document": document, "fence": session.fence, "held_until": session.held_until}


def _session(item: Item) -> Session:
    document: str | bytes = item["document"]
    if isinstance(document, str) and document.startswith("z"):
        document = zlib.decompress(base64.b85decode(document[1:]))
    # The attributes are what is decided by; the document is as old as the last `save`.
    return replace(session_from(document), fence=int(item["fence"]), held_until=float(item["held_until"]))


def _add(items: Items, session: Session) -> bool:
    counter = Change((f"counter#{session.project_id}", "number"))
    counter.add("last", 1)
    # Counted on its own, so that sessions that begin at once do not stand in each other's way; a gap does no harm.
    number, moment = f"{int(items.change(counter)['last']):016}", due(session)
    values = _written(session) | {"number": number} | ({} if moment is None else {"due": moment})
    listed = Put((f"sessions#{session.project_id}", number), {"of": session.id})
    entry = [] if moment is None else [entry_of(session, moment)]
    try:
        items.transact(Put(_where(session.project_id, session.id), values), listed, *entry)
    except ConditionFailed:
        return False
    return True


def _page(items: Items, project_id: str, limit: int, after: str | None) -> list[Session]:
    first = "0"
    if after is not None:
        seen = items.get(_where(project_id, after))
        if seen is None:
            return []
        # The mark makes it longer than the number itself, and it is less than the next one.
        first = f"{seen['number']}#"
    listed = items.query(f"sessions#{project_id}", between=(first, _LAST), limit=limit)
    wheres = [_where(project_id, entry["of"]) for entry in listed]
    found = items.get_many(wheres)
    return [_session(found[where]) for where in wheres if where in found]


def _held(session: Session) -> Change:
    change = Change(_where(session.project_id, session.id))
    change.require(f"{change.name('fence')} = {change.value(session.fence)}")
    return change


def _save(items: Items, session: Session) -> bool:
    moment = due(session)
    change = _saving(session)
    if moment is not None:
        change.require(f"{change.name('due')} <= {change.value(moment)}")
    try:
        items.change(change)
    except ConditionFailed as failed:
        if moment is None or int(failed.items[0].get("fence", -1)) != session.fence:
            return False
    else:
        return True
    # Its entry would come too late, or there is none; the old one is dropped by who finds it.
    change = _saving(session)
    change.set("due", change.value(moment))
    try:
        items.transact(change, entry_of(session, moment))
    except ConditionFailed:
        return False
    return True


def _saving(session: Session) -> Change:
    change = _held(session)
    for attribute, value in _written(session).items():
        change.set(attribute, change.value(value))
    return change


def _remove(items: Items, session: Session) -> bool:
    where = _where(session.project_id, session.id)
    for _ in items.attempts():
        item = items.get(where)
        if item is None or int(item["fence"]) != session.fence:
            return False
        seen: dict[str, Value] = {"fence": session.fence}
        gone = [Delete((f"sessions#{session.project_id}", item["number"]))]
        if "due" in item:
            seen["due"] = item["due"]
            gone.append(Delete(place_of(session, int(item["due"]))))
        try:
            items.transact(Delete(where, seen), *gone)
        except ConditionFailed:
            # Somebody has taken it over, or moved its entry.
            continue
        break
    return True


def _changed(items: Items, change: Change) -> bool:
    try:
        items.change(change)
    except ConditionFailed:
        return False
    return True
