"""Knows how money is reserved and spent in SQLite; see `pinnace.core.ports.Ledger` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation, check_caps


class SqliteLedger:
    """`Ledger` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, reservation: Reservation, caps: Sequence[Cap]) -> None:
        await self._database.write(lambda connection: _reserve(connection, reservation, caps))

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        return await self._database.write(lambda connection: _settle(connection, reservation_id, used))

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        return await self._database.read(lambda connection: _balances(connection, accounts))

    async def expired(self, now: float) -> Sequence[Reservation]:
        return await self._database.read(lambda connection: _expired(connection, now))


def _reserve(connection: sqlite3.Connection, reservation: Reservation, caps: Sequence[Cap]) -> None:
    amount = reservation.amount
    accounts = orjson.dumps([[account.owner, account.period] for account in reservation.accounts]).decode()
    added = connection.execute(
        "INSERT INTO reservations VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (reservation.id, amount.microusd, amount.tokens, accounts, reservation.expires_at),
    )
    if not added.rowcount:
        return
    check_caps(caps, _balances(connection, reservation.accounts), amount)
    connection.executemany(
        "INSERT INTO balances VALUES (?1, 0, 0, ?2, ?3) ON CONFLICT DO UPDATE SET"
        " reserved_microusd = reserved_microusd + ?2, reserved_tokens = reserved_tokens + ?3",
        [(account.name, amount.microusd, amount.tokens) for account in reservation.accounts],
    )


def _settle(connection: sqlite3.Connection, reservation_id: str, used: Amount) -> list[Balance] | None:
    row = connection.execute("DELETE FROM reservations WHERE id = ? RETURNING *", (reservation_id,)).fetchone()
    if row is None:
        return None
    reservation = _reservation(row)
    connection.executemany(
        "UPDATE balances SET spent_microusd = spent_microusd + ?, spent_tokens = spent_tokens + ?,"
        " reserved_microusd = reserved_microusd - ?, reserved_tokens = reserved_tokens - ? WHERE account = ?",
        [
            (used.microusd, used.tokens, reservation.amount.microusd, reservation.amount.tokens, account.name)
            for account in reservation.accounts
        ],
    )
    return _balances(connection, reservation.accounts)


def _balances(connection: sqlite3.Connection, accounts: Sequence[Account]) -> list[Balance]:
    found: list[Balance] = []
    for account in accounts:
        row = connection.execute("SELECT * FROM balances WHERE account = ?", (account.name,)).fetchone()
        found.append(
            Balance()
            if row is None
            else Balance(
                Amount(row["spent_microusd"], row["spent_tokens"]),
                Amount(row["reserved_microusd"], row["reserved_tokens"]),
            )
        )
    return found


def _expired(connection: sqlite3.Connection, now: float) -> list[Reservation]:
    found = connection.execute("SELECT * FROM reservations WHERE expires_at < ? ORDER BY expires_at", (now,))
    return [_reservation(row) for row in found]


def _reservation(row: sqlite3.Row) -> Reservation:
    accounts = tuple(Account(owner, period) for owner, period in orjson.loads(row["accounts"]))
    return Reservation(row["id"], Amount(row["microusd"], row["tokens"]), accounts, row["expires_at"])
