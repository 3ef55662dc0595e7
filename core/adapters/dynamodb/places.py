"""Knows how the places under one name are occupied and freed, as parts of an update; it must not know rates.

Every place is an attribute, `place_ID`, that says when it is free at the latest; `held` counts them, with those that expired.
One that expired is only removed where it is in the way, and only as it was seen, so that the count stays right.
"""

from __future__ import annotations

from pinnace.core.adapters.dynamodb.items import Change, Item
from pinnace.core.model.limits import Lease

_HELD, _PLACE = "held", "place_"
#: How many that expired are removed at once; an expression has 4 KB and 300 operators.
_MOST_REMOVED = 40


def occupied(seen: Item) -> list[float]:
    """When each place is free at the latest."""
    return [float(value) for name, value in seen.items() if name.startswith(_PLACE)]


def occupy(change: Change, lease: Lease, now: float, seen: Item) -> None:
    """Occupy a place, if there is one."""
    own = _PLACE + lease.id
    again = own in seen
    over = _over(seen, now, own) if int(seen.get(_HELD, 0)) >= lease.places else []
    for place in over:
        change.require(f"{change.name(place)} = {change.value(seen[place])}")
        change.remove(place)
    held, places = change.name(_HELD), change.value(lease.places + len(over))
    fits = f"{held} < {places}"
    change.require(f"attribute_not_exists({held}) OR {fits}" if lease.places > 0 else fits)
    change.require(f"{'attribute_exists' if again else 'attribute_not_exists'}({change.name(own)})")
    change.set(own, change.value(lease.expires_at))
    added = (0 if again else 1) - len(over)
    change.set(_HELD, f"if_not_exists({held}, {change.value(0)}) + {change.value(added)}")


def free(change: Change, lease: Lease, seen: Item | None) -> None:
    """Give a place back, unless it is known to be free."""
    own = _PLACE + lease.id
    if seen is not None and own not in seen:
        return
    change.require(f"attribute_exists({change.name(own)})")
    change.remove(own)
    change.add(_HELD, -1)


def _over(seen: Item, now: float, own: str) -> list[str]:
    expired = [name for name, value in seen.items() if name.startswith(_PLACE) and float(value) <= now and name != own]
    return expired[:_MOST_REMOVED]
