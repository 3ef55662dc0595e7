"""Knows how rates and places are kept in memory; see `pinnace.core.ports.Limiter` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence

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


class MemoryLimiter:
    """`Limiter` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: dict[tuple[str, str], int] = {}
        self._places: dict[str, dict[str, float]] = {}

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        moment = moment_of(now)
        with self._lock:
            after = [arrival(take, self._arrivals.get((take.name, take.kind)), moment) for take in takes]
            check_arrivals(takes, after, moment)
            if lease is not None:
                held = self._places.setdefault(lease.name, {})
                for place in [place for place, expires_at in held.items() if expires_at <= now]:
                    del held[place]
                check_places(lease, held.values(), now)
                held[lease.id] = lease.expires_at
            for take, then in zip(takes, after, strict=True):
                self._arrivals[take.name, take.kind] = then
            return meters(takes, after, moment)

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        moment = moment_of(now)
        with self._lock:
            for take, used in corrections:
                name = (take.name, take.kind)
                self._arrivals[name] = corrected(take, self._arrivals.get(name), moment, used)
            if lease is not None:
                self._places.get(lease.name, {}).pop(lease.id, None)
