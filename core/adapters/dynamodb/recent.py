"""Knows the last so many things that were remembered under a name, for every thread; it must not know what they are for.

What it gives is a guess that saves a round trip: the table decides, and what was forgotten is read again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")
#: Each is a few hundred bytes.
MOST = 10_000


class Recent(Generic[T]):
    """A map that forgets what was remembered longest ago."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._things: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str) -> T | None:
        with self._lock:
            return self._things.get(name)

    def put(self, name: str, thing: T) -> None:
        with self._lock:
            self._things[name] = thing
            self._things.move_to_end(name)
            if len(self._things) > self._most:
                self._things.popitem(last=False)

    def forget(self, name: str) -> None:
        with self._lock:
            self._things.pop(name, None)
