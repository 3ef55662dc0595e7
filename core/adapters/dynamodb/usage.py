"""Knows how usage lies in DynamoDB; see `pinnace.core.ports.UsageStore` for what the store promises.

::

    pk                sk                   holds
    request#ID        record               nothing: it is there where the call was counted
    records#PROJECT   NANOSECONDS#ID       the record
    totals#PROJECT    DAY#KEY#MODEL        the counters
"""

from __future__ import annotations

from collections.abc import Sequence

from pinnace.core.adapters.documents import encode, record_from
from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Item, Put
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.model.usage import KINDS, UsageRecord, UsageTotal, Use, day_of

#: Nanoseconds, which are whole numbers of one length until the year 2286.
_SECOND = 1_000_000_000


class DynamoUsageStore:
    """`UsageStore` in a table. A transaction has 100 actions, so a call may use 98 models."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, record: UsageRecord) -> None:
        await self._table.run(lambda session: _add(session, record))

    async def totals(self, project_id: str, first: str, last: str, key_id: str | None = None) -> Sequence[UsageTotal]:
        # `$` comes after `#`, so it is behind everything of the last day.
        days = (f"{first}#", f"{last}$")
        items = await self._table.run(lambda session: session.query(f"totals#{project_id}", between=days))
        found = [total for total in map(_total, items) if key_id in (None, total.key_id)]
        return sorted(found, key=lambda total: (total.day, total.key_id or "", total.model))

    async def records(self, project_id: str, limit: int) -> Sequence[UsageRecord]:
        items = await self._table.run(
            lambda session: session.query(f"records#{project_id}", limit=limit, latest_first=True)
        )
        return [record_from(str(item["document"])) for item in items]


def _add(session: Session, record: UsageRecord) -> None:
    moment = f"{int(record.at * _SECOND):019}"
    try:
        session.transact(
            Put((f"request#{record.request_id}", "record"), {}),
            Put((f"records#{record.project_id}", f"{moment}#{record.request_id}"), {"document": encode(record)}),
            *(_counting(record, model, use) for model, use in record.used().items()),
        )
    except ConditionFailed:
        # It was counted before.
        return


def _counting(record: UsageRecord, model: str, use: Use) -> Change:
    day, key_id = day_of(record.at), record.key_id or ""
    change = Change((f"totals#{record.project_id}", f"{day}#{key_id}#{model}"))
    change.add("requests", 1)
    for attribute, number in (("microusd", use.microusd), *((kind, use.tokens.get(kind, 0)) for kind in KINDS)):
        if number:
            change.add(attribute, number)
    return change


def _total(item: Item) -> UsageTotal:
    use = Use({kind: int(item.get(kind, 0)) for kind in KINDS}, int(item.get("microusd", 0)))
    day, key_id, model = str(item["sk"]).split("#", maxsplit=2)
    return UsageTotal(day, key_id or None, model, int(item["requests"]), use)
