"""Knows how an error looks to OpenAI's clients; it must not know why it happened.

Status and headers are those that Anthropic's clients get: the SDKs of both retry the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pinnace.core import errors as tree
from pinnace.core.wire.anthropic import errors as anthropic
from pinnace.core.wire.anthropic.errors import RenderedError

_REQUEST: Final = "invalid_request_error"
_SERVER: Final = "server_error"
_FIRST_SERVER_ERROR: Final = 500

#: Type and code for each of Anthropic's types.
TABLE: Final[Mapping[str, tuple[str, str | None]]] = {
    "invalid_request_error": (_REQUEST, None),
    "authentication_error": (_REQUEST, "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "permission_error": (_REQUEST, "permission_denied"),
    "not_found_error": (_REQUEST, "not_found"),
    "conflict_error": (_REQUEST, "conflict"),
    "request_too_large": (_REQUEST, "request_too_large"),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "timeout_error": (_SERVER, "timeout"),
    "overloaded_error": (_SERVER, "server_is_overloaded"),
    "api_error": (_SERVER, None),
}

# How Anthropic begins these messages, and the code at which OpenAI's clients look for the same.
_TOLD_BY_MESSAGE: Final[Mapping[tuple[str, str], tuple[str, str | None]]] = {
    ("invalid_request_error", "prompt is too long"): ("context_length_exceeded", "messages"),
    ("not_found_error", "model:"): ("model_not_found", "model"),
}


def render(error: BaseException, request_id: str) -> RenderedError:
    """Say an error in OpenAI's terms.

    Args:
        error: Any exception; of one from outside the tree nothing is told.
        request_id: The id in the answer's header.

    Returns:
        Status, headers and envelope.
    """
    rendered = anthropic.render(error, request_id)
    told = rendered.body["error"]
    kind, message = told["type"], told["message"]
    # A type of the model's API that is not known here still belongs to its status.
    default = (_SERVER if rendered.status >= _FIRST_SERVER_ERROR else _REQUEST, kind)
    type_, code = TABLE.get(kind, default)
    param = error.path if isinstance(error, tree.InvalidRequest) else None
    for (of, beginning), (known, field) in _TOLD_BY_MESSAGE.items():
        if kind == of and message.startswith(beginning):
            code, param = known, field
    return RenderedError(rendered.status, rendered.headers, envelope(type_, message, param, code))


def envelope(kind: str, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Build the body of an error; OpenAI's clients look for all four."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
