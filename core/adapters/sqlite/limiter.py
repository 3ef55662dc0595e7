"""Knows how rates and places are kept in SQLite; see `pinnace.core.ports.Limiter` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.model.limits import (
    Lease,
    Meter,
    Take,
    arrival,
    check_arrivals,
    check_places,
    corrected,
    meters,
    moment_of,
)


class SqliteLimiter:
    """`Limiter` in a file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        return await self._database.write(lambda connection: _enter(connection, takes, now, lease))

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        await self._database.write(lambda connection: _leave(connection, corrections, now, lease))


def _enter(connection: sqlite3.Connection, takes: Sequence[Take], now: float, lease: Lease | None) -> list[Meter]:
    moment = moment_of(now)
    after = [arrival(take, _arrival(connection, take), moment) for take in takes]
    check_arrivals(takes, after, moment)
    if lease is not None:
        connection.execute("DELETE FROM places WHERE name = ? AND expires_at <= ?", (lease.name, now))
        held = connection.execute("SELECT expires_at FROM places WHERE name = ?", (lease.name,)).fetchall()
        check_places(lease, [row["expires_at"] for row in held], now)
        connection.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (lease.name, lease.id, lease.expires_at))
    for take, then in zip(takes, after, strict=True):
        _keep(connection, take, then)
    return meters(takes, after, moment)


def _leave(
    connection: sqlite3.Connection, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None
) -> None:
    moment = moment_of(now)
    for take, used in corrections:
        _keep(connection, take, corrected(take, _arrival(connection, take), moment, used))
    if lease is not None:
        connection.execute("DELETE FROM places WHERE name = ? AND id = ?", (lease.name, lease.id))


def _arrival(connection: sqlite3.Connection, take: Take) -> int | None:
    row = connection.execute(
        "SELECT arrival FROM arrivals WHERE name = ? AND kind = ?", (take.name, take.kind)
    ).fetchone()
    return None if row is None else int(row["arrival"])


def _keep(connection: sqlite3.Connection, take: Take, then: int) -> None:
    connection.execute("INSERT OR REPLACE INTO arrivals VALUES (?, ?, ?)", (take.name, take.kind, then))
