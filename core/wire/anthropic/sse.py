"""Knows how an event becomes bytes of `text/event-stream`; it must not know in which order events come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pinnace.core.wire.anthropic.errors import render

MEDIA_TYPE: Final = "text/event-stream"

# Some clients split lines with str.splitlines, which also breaks at these; within JSON they occur in strings only.
_LINE_BREAKS: Final = (
    ("\u0085".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def encode(event: Mapping[str, Any]) -> bytes:
    """Write one event; its `event:` line equals its `type`, which clients rely on.

    Raises:
        ValueError: It has no type, or one that would break the line.
    """
    kind = event.get("type")
    if not isinstance(kind, str) or not kind.isprintable() or not kind:
        raise ValueError(f"an event needs a type of printable characters, not {kind!r}")
    data = orjson.dumps(event)
    for character, escape in _LINE_BREAKS:
        if character in data:
            data = data.replace(character, escape)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def encode_error(error: BaseException, request_id: str) -> bytes:
    """Write the event that ends a stream which failed after its first byte; nothing may follow it."""
    return encode(render(error, request_id).body)


PING: Final = encode({"type": "ping"})
