"""Knows when sessions expire at the earliest, and finds those that have; it must not know how one is written to.

::

    pk              sk              holds
    expiring#0..7   MOMENT#NAME     project_id and session_id

DynamoDB's own TTL deletes days late, so it is not used. An entry's moment is never later than the session's time, but may be
earlier: a turn that puts the time off leaves the entry, which costs nothing, and whoever finds it moves it. So a session's
entry is written about once in its `ttl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zlib import crc32

from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Delete, Item, Put, Where
from pinnace.core.adapters.dynamodb.session import Session as Items
from pinnace.core.model.sessions import Session

#: Over how many `pk` the entries are spread: one takes about 1,000 writes a second.
SHARDS = 8
#: Entries that are read at once.
_PAGE = 100
#: Milliseconds, of one length until the year 2286; nothing expires later than that.
_LAST = 10**13 - 1


def due(session: Session) -> int | None:
    """The moment of a session's entry, in milliseconds; None where it never expires."""
    return None if session.expires_at is None else max(0, min(int(session.expires_at * 1000), _LAST))


def entry_of(session: Session, moment: int) -> Put:
    """The entry of a session."""
    return Put(place_of(session, moment), {"project_id": session.project_id, "session_id": session.id})


def place_of(session: Session, moment: int) -> Where:
    """Where the entry of a session is."""
    return f"expiring#{crc32(session.name.encode()) % SHARDS}", f"{moment:013}#{session.name}"


def expired(
    items: Items, now: float, limit: int, where: Callable[[str, str], Where], read: Callable[[Item], Session]
) -> list[Session]:
    """Sessions whose time is over and that nobody holds; `where` names a session's item, `read` reads it."""
    over: list[Session] = []
    for entries in _due(items, now):
        wheres = [where(entry["project_id"], entry["session_id"]) for entry in entries]
        found = items.get_many(wheres)
        for entry, place in zip(entries, wheres, strict=True):
            item = found.get(place)
            session = None if item is None else read(item)
            if item is None or session is None or place_of(session, int(item.get("due", -1)))[1] != entry["sk"]:
                # Its session is gone, or has another entry by now.
                items.delete_many([(entry["pk"], entry["sk"])])
            elif not session.is_there(now):
                over.append(session)
            else:
                _move(items, place, session, entry)
        if len(over) >= limit:
            break
    return over[:limit]


def _due(items: Items, now: float) -> Iterator[list[Item]]:
    """The entries whose moment has come, a page at a time."""
    # `$` comes after `#`, so it is behind everything of this moment.
    last = f"{max(0, min(int(now * 1000), _LAST)):013}$"
    for shard in range(SHARDS):
        first = "0"
        while True:
            entries = items.query(f"expiring#{shard}", between=(first, last), limit=_PAGE)
            if entries:
                yield entries
            if len(entries) < _PAGE:
                break
            first = f"{entries[-1]['sk']}$"


def _move(items: Items, place: Where, session: Session, entry: Item) -> None:
    """Put the entry where the session's time is now, unless somebody does the same."""
    moment = due(session)
    old: Where = (entry["pk"], entry["sk"])
    change = Change(place)
    seen = int(str(entry["sk"]).partition("#")[0])
    if moment == seen:
        # It is only there because somebody holds it.
        return
    change.require(f"{change.name('due')} = {change.value(seen)}")
    if moment is None:
        change.remove("due")
    else:
        change.set("due", change.value(moment))
    added = [] if moment is None else [entry_of(session, moment)]
    try:
        items.transact(Delete(old), change, *added)
    except ConditionFailed:
        return
