"""Knows how a chunk becomes bytes of `text/event-stream`; it must not know in which order chunks come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pinnace.core.wire.openai.errors import render

MEDIA_TYPE: Final = "text/event-stream"
#: The end of a whole answer; what broke off ends without it.
DONE: Final = b"data: [DONE]\n\n"
#: A comment, which every reader of events skips: OpenAI's chunks have no ping.
PING: Final = b": ping\n\n"

# Some clients split lines with str.splitlines, which also breaks at these; within JSON they occur in strings only.
_LINE_BREAKS: Final = (
    ("\u0085".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def encode(chunk: Mapping[str, Any]) -> bytes:
    """Write one chunk."""
    data = orjson.dumps(chunk)
    for character, escape in _LINE_BREAKS:
        if character in data:
            data = data.replace(character, escape)
    return b"data: %b\n\n" % data


def encode_error(error: BaseException, request_id: str) -> bytes:
    """Write what ends a stream that failed after its first byte; the SDK raises it, and nothing may follow."""
    return encode(render(error, request_id).body)
