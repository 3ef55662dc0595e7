"""Knows how money is reserved and spent in memory; see `pinnace.core.ports.Ledger` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation, check_caps


class MemoryLedger:
    """`Ledger` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._balances: dict[Account, Balance] = {}
        self._reservations: dict[str, Reservation] = {}

    async def reserve(self, reservation: Reservation, caps: Sequence[Cap]) -> None:
        with self._lock:
            if reservation.id in self._reservations:
                return
            held = [self._balances.get(account, Balance()) for account in reservation.accounts]
            check_caps(caps, held, reservation.amount)
            self._reservations[reservation.id] = reservation
            for account, balance in zip(reservation.accounts, held, strict=True):
                self._balances[account] = Balance(balance.spent, balance.reserved + reservation.amount)

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        with self._lock:
            return self._settle(reservation_id, used)

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        with self._lock:
            return [self._balances.get(account, Balance()) for account in accounts]

    async def expired(self, now: float) -> Sequence[Reservation]:
        with self._lock:
            found = [reservation for reservation in self._reservations.values() if reservation.expires_at < now]
        return sorted(found, key=lambda reservation: reservation.expires_at)

    def _settle(self, reservation_id: str, used: Amount) -> list[Balance] | None:
        reservation = self._reservations.pop(reservation_id, None)
        if reservation is None:
            return None
        for account in reservation.accounts:
            balance = self._balances[account]
            self._balances[account] = Balance(balance.spent + used, balance.reserved - reservation.amount)
        return [self._balances[account] for account in reservation.accounts]
