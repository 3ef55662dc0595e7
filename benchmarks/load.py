"""Knows how to put a load on an HTTP endpoint and to measure first delta, total and rate; it must not know who answers."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

MODEL = "claude-sonnet-5-5"
SCRIPT = "Count.\n::text one two three four five six seven eight"

#: A call gives the seconds to its first delta and to its end.
Call = Callable[[], Awaitable[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians in milliseconds, and calls a second."""

    first: float
    total: float
    rate: float


def over_http(base_url: str, *, stream: bool) -> Call:
    """A call of the Messages API by a client that costs next to nothing: one connection, raw bytes."""
    parts = urlsplit(base_url)
    body = json.dumps(
        {"model": MODEL, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": SCRIPT}]}
    ).encode()
    head = (
        f"POST {parts.path}/v1/messages HTTP/1.1\r\nhost: {parts.netloc}\r\nx-api-key: sk-any\r\nauthorization: Bearer sk-any\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    ).encode()
    mark = b"content_block_delta" if stream else b"text"

    async def call() -> tuple[float, float]:
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head + body)
        answer, first = b"", 0.0
        while chunk := await reader.read(65536):
            answer += chunk
            if not first and mark in answer:
                first = time.perf_counter() - began
        ended = time.perf_counter() - began
        writer.close()
        if b"eight" not in answer:
            raise RuntimeError(answer[:500].decode(errors="replace"))
        return first, ended

    return call


async def measure(call: Call, *, concurrency: int, calls: int) -> Figures:
    """Make `calls` calls, `concurrency` of them at a time, after a round of warming up."""
    await asyncio.gather(*(call() for _ in range(concurrency)))
    left = iter(range(calls))
    seen: list[tuple[float, float]] = []

    async def work() -> None:
        seen.extend([await call() for _ in left])

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    spent = time.perf_counter() - began
    first = statistics.median(figures[0] for figures in seen)
    total = statistics.median(figures[1] for figures in seen)
    return Figures(first * 1000, total * 1000, calls / spent)
