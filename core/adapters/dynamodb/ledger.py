"""Knows how money is reserved and spent in DynamoDB; see `pinnace.core.ports.Ledger` for what the ledger promises.

::

    pk                  sk        holds
    account#NAME        balance   committed (spent and reserved together) and spent, of each unit
    reservations#0..7   ID        the amount, the accounts, when it expires

`reserve` is one transaction with `committed <= limit - amount` for every hard cap. `settle` is one, too: a transaction gives no
values, so it asks that `spent` is what this process saw last, and the balances afterwards are known without reading them. Where
somebody else has spent since, the refusal says how much, and the next attempt asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import orjson

from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Delete, Item, Put, Value, Where
from pinnace.core.adapters.dynamodb.recent import Recent
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.errors import StoreFailed
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation, check_caps

#: Over how many `pk` the reservations are spread: one takes about 1,000 writes a second, and a call makes four.
SHARDS = 8
#: How often a settlement asks for what was seen; then it counts anyway, and gives balances as of the last refusal.
EXACT_ATTEMPTS = 2


class DynamoLedger:
    """`Ledger` in a table.

    What `settle` gives as `reserved` is what this process knows; `spent` is exact, unless others spend from the same account
    all the time. `balances` reads both.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._open: Recent[Reservation] = Recent()
        self._seen: Recent[Balance] = Recent()

    async def reserve(self, reservation: Reservation, caps: Sequence[Cap]) -> None:
        await self._table.run(lambda session: self._reserve(session, reservation, caps))

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        return await self._table.run(lambda session: self._settle(session, reservation_id, used))

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        found = await self._table.run(lambda session: session.snapshot([_balance(account) for account in accounts]))
        held = [_balance_from(found.get(_balance(account), {})) for account in accounts]
        for account, balance in zip(accounts, held, strict=True):
            self._seen.put(account.name, balance)
        return held

    async def expired(self, now: float) -> Sequence[Reservation]:
        return await self._table.run(lambda session: _expired(session, now))

    def _reserve(self, session: Session, reservation: Reservation, caps: Sequence[Cap]) -> None:
        try:
            session.transact(_opening(reservation), *(_taking(cap, reservation.amount) for cap in caps))
        except ConditionFailed as failed:
            if 0 not in failed.items:
                self._refuse(caps, failed, reservation.amount)
            return
        self._open.put(reservation.id, reservation)
        for account in reservation.accounts:
            before = self._saw(account)
            self._seen.put(account.name, Balance(before.spent, before.reserved + reservation.amount))

    def _refuse(self, caps: Sequence[Cap], failed: ConditionFailed, amount: Amount) -> None:
        for number, cap in enumerate(caps, start=1):
            if number in failed.items:
                balance = _balance_from(failed.items[number])
                self._seen.put(cap.account.name, balance)
                check_caps([cap], [balance], amount)
        raise StoreFailed("The server's store refused a reservation for no reason that it gave.")

    def _settle(self, session: Session, reservation_id: str, used: Amount) -> list[Balance] | None:
        reservation = self._open.get(reservation_id) or _stored(session, reservation_id)
        if reservation is None:
            return None
        self._open.forget(reservation_id)
        seen = {account: self._saw(account) for account in reservation.accounts}
        for attempt in session.attempts():
            expected = seen if attempt < EXACT_ATTEMPTS else {}
            try:
                session.transact(*_closing(reservation, used, expected))
            except ConditionFailed as failed:
                if 0 in failed.items:
                    return None
                for number, account in enumerate(reservation.accounts, start=1):
                    if number in failed.items:
                        seen[account] = _balance_from(failed.items[number])
                continue
            break
        return [self._spent(account, seen[account], reservation.amount, used) for account in reservation.accounts]

    def _saw(self, account: Account) -> Balance:
        return self._seen.get(account.name) or Balance()

    def _spent(self, account: Account, before: Balance, amount: Amount, used: Amount) -> Balance:
        after = Balance(before.spent + used, before.reserved - amount)
        self._seen.put(account.name, after)
        return after


def _balance(account: Account) -> Where:
    return f"account#{account.name}", "balance"


def _reservation(reservation_id: str) -> Where:
    return f"reservations#{crc32(reservation_id.encode()) % SHARDS}", reservation_id


def _opening(reservation: Reservation) -> Put:
    values: dict[str, Value] = {
        "microusd": reservation.amount.microusd,
        "tokens": reservation.amount.tokens,
        "accounts": orjson.dumps([[account.owner, account.period] for account in reservation.accounts]).decode(),
        "expires_at": reservation.expires_at,
    }
    return Put(_reservation(reservation.id), values)


def _taking(cap: Cap, amount: Amount) -> Change:
    change = Change(_balance(cap.account))
    for unit, limit, needed in (("microusd", cap.microusd, amount.microusd), ("tokens", cap.tokens, amount.tokens)):
        change.add(f"committed_{unit}", needed)
        if cap.hard and limit is not None:
            committed = change.name(f"committed_{unit}")
            fits = f"{committed} <= {change.value(limit - needed)}"
            # An account that was never used holds nothing, which admits what is not larger than the limit itself.
            change.require(f"attribute_not_exists({committed}) OR {fits}" if needed <= limit else fits)
    return change


def _closing(reservation: Reservation, used: Amount, expected: dict[Account, Balance]) -> list[Delete | Change]:
    actions: list[Delete | Change] = [Delete(_reservation(reservation.id))]
    difference = used - reservation.amount
    for account in reservation.accounts:
        change = Change(_balance(account))
        for unit, more, spent in (
            ("microusd", difference.microusd, used.microusd),
            ("tokens", difference.tokens, used.tokens),
        ):
            change.add(f"committed_{unit}", more)
            change.add(f"spent_{unit}", spent)
        if account in expected:
            _expect(change, expected[account].spent)
        actions.append(change)
    return actions


def _expect(change: Change, seen: Amount) -> None:
    for unit, number in (("microusd", seen.microusd), ("tokens", seen.tokens)):
        spent = change.name(f"spent_{unit}")
        same = f"{spent} = {change.value(number)}"
        # Where nothing was ever spent, there is no number yet.
        change.require(same if number else f"attribute_not_exists({spent}) OR {same}")


def _stored(session: Session, reservation_id: str) -> Reservation | None:
    item = session.get(_reservation(reservation_id))
    return None if item is None else _reservation_from(item)


def _expired(session: Session, now: float) -> list[Reservation]:
    # A call holds one reservation, so all of them are few: the open ones are read, and those that expired are picked here.
    held = [_reservation_from(item) for shard in range(SHARDS) for item in session.query(f"reservations#{shard}")]
    return sorted((one for one in held if one.expires_at < now), key=lambda one: one.expires_at)


def _reservation_from(item: Item) -> Reservation:
    accounts = tuple(Account(owner, period) for owner, period in orjson.loads(str(item["accounts"])))
    amount = Amount(int(item["microusd"]), int(item["tokens"]))
    return Reservation(str(item["sk"]), amount, accounts, float(item["expires_at"]))


def _balance_from(item: Item) -> Balance:
    spent = Amount(int(item.get("spent_microusd", 0)), int(item.get("spent_tokens", 0)))
    committed = Amount(int(item.get("committed_microusd", 0)), int(item.get("committed_tokens", 0)))
    return Balance(spent, committed - spent)
