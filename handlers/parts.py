"""Knows how a kept file goes out, whole or the part that is asked for (RFC 9110, section 14); it must not know what is in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pinnace.core.wire.ranges import is_known, part_of


async def file_response(
    request: Request,
    size: int,
    etag: str,
    headers: Mapping[str, str],
    read: Callable[[int, int], AsyncGenerator[bytes, None]],
) -> Response:
    """Answer `GET` and `HEAD` of a file of `size` bytes.

    Args:
        request: What is asked for.
        size: The file's bytes.
        etag: A strong tag, in its quotation marks.
        headers: `content-type` and whatever else the file has.
        read: Gives so many bytes from a place on.

    Raises:
        RangeRefused: the part begins beyond the end.
        StoreFailed: it cannot be read, and nothing was sent.
    """
    asked, known = request.headers, dict(headers) | {"accept-ranges": "bytes", "etag": etag}
    if is_known(asked.get("if-none-match"), etag):
        known.pop("content-type", None)
        return Response(status_code=304, headers=known)
    # RFC 9110, 14.2: a Range means something with GET alone.
    whole = request.method == "HEAD"
    part = None if whole else part_of(size, asked.get("range"), asked.get("if-range"), etag)
    known["content-length"] = str(size if part is None else part.length)
    if whole:
        return Response(headers=known)
    if part is not None:
        known["content-range"] = part.content_range
    pieces = read(0, size) if part is None else read(part.start, part.length)
    # What cannot be read is an error as long as nothing was sent.
    first = await anext(pieces, b"")
    return StreamingResponse(_sent(first, pieces), status_code=200 if part is None else 206, headers=known)


async def _sent(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
