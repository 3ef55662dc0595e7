"""Knows how the model's API says no, in an answer and within a stream; sans-IO."""

from __future__ import annotations

import contextlib
import re

import orjson

from pinnace.core.errors import UpstreamFailed

#: The statuses of the API's error types, for an error that came within a stream.
STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def failure(status: int, headers: dict[str, str], content: bytes) -> UpstreamFailed:
    """Read the upstream's refusal: its own type and message where it gave them."""
    kind, message = None, f"The model's API answered with status {status}."
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
        error = orjson.loads(content)["error"]
        kind, message = str(error["type"]), str(error["message"])
    retry_after = None
    with contextlib.suppress(ValueError):
        retry_after = float(headers.get("retry-after", ""))
    return UpstreamFailed(message, status=status, kind=kind, retry_after=retry_after)


def failure_within(stream: bytes) -> UpstreamFailed | None:
    """Read an `error` event out of the end of a stream; None where there is no whole one."""
    found = re.search(rb"(?:^|\n)event: error\r?\ndata: (.*?)\r?\n", stream)
    if found is None:
        return None
    read = failure(500, {}, found.group(1))
    return UpstreamFailed(read.message, status=STATUSES.get(read.kind or "", 500), kind=read.kind)
