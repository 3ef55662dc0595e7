"""Knows the generic cell rate algorithm as arithmetic on one number per limit; it must not know where the number is kept.

Source: ITU-T I.371, annex A (GCRA, virtual scheduling). A limit of N a minute is a bucket of N that fills up in 60 seconds. The
number is the theoretical arrival time, in nanoseconds since the epoch: the moment at which the bucket will be full.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from pinnace.core.errors import RateLimited

SECOND = 1_000_000_000
WINDOW = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Take:
    """`units` of a limit of `limit` a minute; `kind` is what the limit counts (`requests`), `name` whose it is.

    A call that is larger than the whole limit may take all of it, or it could never be made.
    """

    name: str
    kind: str
    limit: int
    units: int


@dataclass(frozen=True, slots=True)
class Lease:
    """One of the `places` under `name`, occupied by `id` until it is given back, or until `expires_at`."""

    name: str
    id: str
    places: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Meter:
    """How a limit stands: `remaining` units now, all of them again in `reset` seconds."""

    kind: str
    limit: int
    remaining: int
    reset: float


def moment_of(now: float) -> int:
    """A time in seconds as a whole number of nanoseconds."""
    return int(now * SECOND)


def arrival(take: Take, before: int | None, now: int) -> int:
    """The theoretical arrival time after a take, whether or not it is admitted."""
    return max(now, before or 0) + _share(take)


def _share(take: Take) -> int:
    return min(take.units, take.limit) * WINDOW // take.limit


def check_arrivals(takes: Sequence[Take], after: Sequence[int], now: int) -> None:
    """Refuse what comes too early.

    Raises:
        RateLimited: with the longest wait of all the limits.
    """
    waits = [(then - now - WINDOW, take) for take, then in zip(takes, after, strict=True) if then > now + WINDOW]
    if waits:
        wait, take = max(waits, key=itemgetter(0))
        raise RateLimited(
            f"This key may take {take.limit:,} {take.kind.replace('-', ' ')} a minute; try again later.",
            retry_after=wait / SECOND,
            meters=[meter(one, then - _share(one), now) for one, then in zip(takes, after, strict=True)],
        )


def check_places(lease: Lease, held: Iterable[float], now: float) -> None:
    """Refuse where every place is occupied; `held` is when each of them is free at the latest.

    Raises:
        RateLimited: a place may be free in a moment.
    """
    if sum(1 for expires_at in held if expires_at > now) >= lease.places:
        raise RateLimited(f"This key may run {lease.places:,} calls at once; try again later.", retry_after=1.0)


def corrected(take: Take, before: int | None, now: int, used: int) -> int:
    """The arrival time once it is known that `used` units were taken, not `take.units`; more than the bucket holds is a debt."""
    difference = used - min(take.units, take.limit)
    return max(now, before or 0) + difference * WINDOW // take.limit


def meter(take: Take, after: int | None, now: int) -> Meter:
    """How the limit stands at `now`."""
    full_at = max(now, after or 0)
    remaining = (now + WINDOW - full_at) * take.limit // WINDOW
    return Meter(take.kind, take.limit, max(0, remaining), (full_at - now) / SECOND)


def meters(takes: Sequence[Take], after: Sequence[int], now: int) -> list[Meter]:
    """How the limits stand at `now`, each after its take."""
    return [meter(take, then, now) for take, then in zip(takes, after, strict=True)]
