"""Knows how an error looks to Anthropic's clients: status, type, headers, body; it must not know why it happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pinnace.core import errors as tree

TABLE: Final[Mapping[type[tree.PinnaceError], tuple[int, str]]] = {
    tree.PinnaceError: (500, "api_error"),
    tree.RequestRejected: (400, "invalid_request_error"),
    tree.InvalidRequest: (400, "invalid_request_error"),
    tree.Unauthenticated: (401, "authentication_error"),
    tree.BillingRefused: (402, "billing_error"),
    tree.BudgetExceeded: (402, "billing_error"),
    tree.PermissionRefused: (403, "permission_error"),
    tree.StorageExceeded: (403, "permission_error"),
    tree.NotFound: (404, "not_found_error"),
    tree.MethodRefused: (405, "invalid_request_error"),
    tree.Conflicted: (409, "conflict_error"),
    tree.RequestTooLarge: (413, "request_too_large"),
    tree.RangeRefused: (416, "invalid_request_error"),
    tree.RateLimited: (429, "rate_limit_error"),
    tree.UpstreamFailed: (500, "api_error"),  # for a broken connection; otherwise it keeps its own status
    tree.RunFailed: (500, "api_error"),
    tree.CliUnavailable: (500, "api_error"),
    tree.CliBroke: (500, "api_error"),
    tree.RunTimedOut: (504, "timeout_error"),
    tree.RunCancelled: (500, "api_error"),
    tree.Overloaded: (529, "overloaded_error"),
    tree.StoreFailed: (500, "api_error"),
    tree.PartMissing: (501, "api_error"),
    tree.Misconfigured: (500, "api_error"),
}

_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_CLIENT_ERRORS: Final = range(400, 500)
_FAILURES: Final = range(400, 600)


@dataclass(frozen=True, slots=True)
class RenderedError:
    """An answer to be sent; the host adds the headers that every answer carries, `request-id` among them."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def render(error: BaseException, request_id: str) -> RenderedError:
    """Say an error in Anthropic's terms.

    Args:
        error: Any exception; of one from outside the tree nothing is told.
        request_id: The id in the answer's header.

    Returns:
        Status, headers and envelope.
    """
    if not isinstance(error, tree.PinnaceError):
        return RenderedError(500, {}, envelope("api_error", "Internal server error", request_id))
    status, kind = _classify(error)
    details = error.details if isinstance(error, tree.InvalidRequest | tree.BudgetExceeded) else None
    return RenderedError(status, _headers(error), envelope(kind, str(error), request_id, details))


def envelope(kind: str, message: str, request_id: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Build the body of an error."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if details is not None:
        error["details"] = dict(details)
    return {"type": "error", "error": error, "request_id": request_id}


def type_of(status: int) -> str:
    """Name the type that Anthropic gives to a status."""
    return _TYPES.get(status, "invalid_request_error" if status in _CLIENT_ERRORS else "api_error")


def _classify(error: tree.PinnaceError) -> tuple[int, str]:
    status, kind = next(TABLE[ancestor] for ancestor in type(error).__mro__ if ancestor in TABLE)
    if isinstance(error, tree.UpstreamFailed):
        # A failure may come with a status that is none (200, null); it is a failure all the same.
        told = error.status or status
        status = told if told in _FAILURES else status
        kind = error.kind or type_of(status)
    return status, kind


def _headers(error: tree.PinnaceError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(error, tree.MethodRefused):
        headers["allow"] = ", ".join(error.allowed)
    if isinstance(error, tree.RangeRefused):
        headers["content-range"] = f"bytes */{error.size}"
    if isinstance(error, tree.RateLimited | tree.Overloaded | tree.Conflicted | tree.UpstreamFailed):
        seconds = error.retry_after
        if seconds is not None:
            headers["retry-after"] = str(max(1, math.ceil(seconds)))
    return headers
