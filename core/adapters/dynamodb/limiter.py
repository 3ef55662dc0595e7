"""Knows how rates and places are kept in DynamoDB; see `pinnace.core.ports.Limiter` for what the limiter promises.

::

    pk           sk      holds
    rate#NAME    rate    arrival_KIND: the arrival time of each limit; place_ID: when each place is free; held: how many there are

What a call takes under one name is one conditional update of one item, which gives the item as it is afterwards. An expression
cannot say `max(now, arrival)`, so there are two: `arrival + step` where it is not over (busy), `now + step` where it is (idle).
What was last seen says which to try; where that is wrong, nothing is written, and the refusal shows the item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Item, Where
from pinnace.core.adapters.dynamodb.places import free, occupied, occupy
from pinnace.core.adapters.dynamodb.recent import Recent
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.model.limits import (
    WINDOW,
    Lease,
    Meter,
    Take,
    arrival,
    check_arrivals,
    check_places,
    corrected,
    meter,
    moment_of,
)

_NOTHING: Item = {}


class DynamoLimiter:
    """`Limiter` in a table; the takes and the lease of a call share a name, or they cost a transaction and a read."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._seen: Recent[Item] = Recent()

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        return await self._table.run(lambda session: self._enter(session, takes, now, lease))

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        await self._table.run(lambda session: self._leave(session, corrections, now, lease))

    def _enter(self, session: Session, takes: Sequence[Take], now: float, lease: Lease | None) -> list[Meter]:
        moment = moment_of(now)
        names = list(dict.fromkeys([*(take.name for take in takes), *([lease.name] if lease else ())]))
        seen = self._guess(names)
        for _ in session.attempts():
            changes = {name: _taking(name, takes, moment, seen[name]) for name in names}
            if lease is not None:
                occupy(changes[lease.name], lease, now, seen[lease.name])
            if self._done(session, changes, seen):
                break
            check_arrivals(takes, [arrival(take, _arrival(take, seen), moment) for take in takes], moment)
            if lease is not None:
                check_places(lease, occupied(seen[lease.name]), now)
        return [meter(take, _arrival(take, seen), moment) for take in takes]

    def _leave(
        self, session: Session, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None
    ) -> None:
        moment = moment_of(now)
        names = list(dict.fromkeys([*(take.name for take, _ in corrections), *([lease.name] if lease else ())]))
        seen = self._guess(names)
        for attempt in session.attempts():
            changes = {name: _correcting(name, corrections, moment, seen[name]) for name in names}
            if lease is not None:
                # Another process may have occupied it, so the first attempt asks the table.
                free(changes[lease.name], lease, None if attempt == 0 else seen[lease.name])
            if self._done(session, {name: change for name, change in changes.items() if change}, seen):
                break

    def _guess(self, names: Sequence[str]) -> dict[str, Item]:
        return {name: self._seen.get(name) or _NOTHING for name in names}

    def _done(self, session: Session, changes: Mapping[str, Change], seen: dict[str, Item]) -> bool:
        """Write the changes, or none; `seen` is brought up to date either way."""
        names = list(changes)
        try:
            fresh, done = dict(enumerate(_write(session, list(changes.values())))), True
        except ConditionFailed as failed:
            fresh, done = dict(failed.items), False
        for number, item in fresh.items():
            seen[names[number]] = item
            self._seen.put(names[number], item)
        return done


def _write(session: Session, changes: Sequence[Change]) -> list[Item]:
    """Write all the changes or none, and give the items as they are afterwards."""
    if not changes:
        return []
    if len(changes) == 1:
        return [session.change(changes[0])]
    session.transact(*changes)
    wheres = [change.where for change in changes]
    found = session.get_many(wheres)
    return [found.get(where, _NOTHING) for where in wheres]


def _rate(name: str) -> Where:
    return f"rate#{name}", "rate"


def _arrival(take: Take, seen: Mapping[str, Item]) -> int | None:
    found = seen[take.name].get(f"arrival_{take.kind}")
    return None if found is None else int(found)


def _taking(name: str, takes: Sequence[Take], now: int, seen: Item) -> Change:
    change = Change(_rate(name))
    for take in takes:
        if take.name == name:
            _advance(change, take, arrival(take, None, 0), now, seen, latest=now + WINDOW)
    return change


def _correcting(name: str, corrections: Sequence[tuple[Take, int]], now: int, seen: Item) -> Change:
    change = Change(_rate(name))
    for take, used in corrections:
        if take.name == name:
            _advance(change, take, corrected(take, None, 0, used), now, seen, latest=None)
    return change


def _advance(change: Change, take: Take, step: int, now: int, seen: Item, *, latest: int | None) -> None:
    """Put `max(now, arrival) + step` in the place of the arrival, unless that is later than `latest`."""
    attribute = f"arrival_{take.kind}"
    name, start = change.name(attribute), change.value(now)
    before = seen.get(attribute)
    if before is None or int(before) < now:
        change.set(attribute, change.value(now + step))
        change.require(f"attribute_not_exists({name}) OR {name} < {start}")
        return
    change.set(attribute, f"{name} + {change.value(step)}")
    change.require(f"{name} >= {start}")
    if latest is not None:
        change.require(f"{name} <= {change.value(latest - step)}")
