"""Knows how Amazon Bedrock and Google Vertex AI carry the Messages API: their paths, and Bedrock's stream of frames.

Sources: the encoding of `application/vnd.amazon.eventstream` in the documentation of Amazon Transcribe and S3 Select, and the
clients `AnthropicBedrock` and `AnthropicVertex` of the `anthropic` package.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

BEDROCK_PATH = "/model/{model}/{verb}"
VERTEX_PATH = "/{version:path}projects/{project}/locations/{region}/publishers/anthropic/models/{model}:{verb}"
EVENT_STREAM = "application/vnd.amazon.eventstream"
_STREAMED = frozenset(["invoke-with-response-stream", "streamRawPredict"])
_TEXT = 7  # the type of a header's value


@dataclass(frozen=True, slots=True)
class Called:
    """What a provider's path says that the API's own body would."""

    model: str
    stream: bool

    @classmethod
    def read(cls, parameters: dict[str, Any]) -> Called:
        """Read the path's parameters."""
        return cls(parameters["model"], parameters["verb"] in _STREAMED)


def event_frame(event: dict[str, Any]) -> bytes:
    """One event as Bedrock sends it: base64 in JSON in a frame with two checksums."""
    text = json.dumps(event, ensure_ascii=False).encode()
    payload = json.dumps({"bytes": base64.b64encode(text).decode()}).encode()
    if event["type"] == "error":
        kind = {":message-type": "exception", ":exception-type": "internalServerException"}
        return _frame(kind, json.dumps({"message": event["error"]["message"]}).encode())
    return _frame({":message-type": "event", ":event-type": "chunk", ":content-type": "application/json"}, payload)


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value.encode()
        for name, value in headers.items()
    )
    # The length of the whole frame counts the prelude (12 bytes) and the last checksum (4 bytes).
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return head + struct.pack("!I", zlib.crc32(head))
