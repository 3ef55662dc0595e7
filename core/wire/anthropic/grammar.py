"""Knows the order in which the events of one answer may come; it must not know what any of them says.

::

    message_start
    ( content_block_start(i) content_block_delta(i)* content_block_stop(i) )*     i = 0, 1, 2, ...
    message_delta+
    message_stop

A ping, or an event that this table does not name, may stand anywhere before the end; an error ends everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final


class _State(Enum):
    FRESH = "before message_start"
    BETWEEN = "between blocks"
    BLOCK = "within a block"
    CLOSING = "after message_delta"
    DONE = "after the end"


_TABLE: Final[Mapping[tuple[_State, str], _State]] = {
    (_State.FRESH, "message_start"): _State.BETWEEN,
    (_State.BETWEEN, "content_block_start"): _State.BLOCK,
    (_State.BLOCK, "content_block_delta"): _State.BLOCK,
    (_State.BLOCK, "content_block_stop"): _State.BETWEEN,
    (_State.BETWEEN, "message_delta"): _State.CLOSING,
    (_State.CLOSING, "message_delta"): _State.CLOSING,
    (_State.CLOSING, "message_stop"): _State.DONE,
}
_ORDERED: Final = frozenset(kind for _, kind in _TABLE)
_INDEXED: Final = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})


class StreamGrammar:
    """Admits the events of one answer, one after the other."""

    def __init__(self) -> None:
        self._state = _State.FRESH
        self._index = 0

    @property
    def finished(self) -> bool:
        """Whether the answer has ended, well or with an error."""
        return self._state is _State.DONE

    def admit(self, event: Mapping[str, Any]) -> None:
        """Take the next event.

        Raises:
            ValueError: It may not come here; the state stays as it was.
        """
        kind = event.get("type")
        if not isinstance(kind, str):
            raise ValueError(f"an event has no type: {kind!r}")
        if self.finished:
            raise ValueError(f"{kind} came after the end")
        if kind in _ORDERED:
            self._advance(kind, event)
        elif kind == "error":
            self._state = _State.DONE

    def _advance(self, kind: str, event: Mapping[str, Any]) -> None:
        following = _TABLE.get((self._state, kind))
        if following is None:
            raise ValueError(f"{kind} came {self._state.value}{self._open_block()}")
        if kind in _INDEXED and event.get("index") != self._index:
            raise ValueError(f"{kind} has index {event.get('index')!r} where {self._index} is next")
        self._state = following
        if kind == "content_block_stop":
            self._index += 1

    def _open_block(self) -> str:
        return f" (block {self._index} is open)" if self._state is _State.BLOCK else ""
