"""Knows what every request goes through: its id, its prefix, its key, its errors and its access record; no endpoint."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pinnace.core.errors import (
    InvalidRequest,
    MethodRefused,
    NotFound,
    PinnaceError,
    RequestTooLarge,
)
from pinnace.core.model.run import Profile
from pinnace.core.wire.anthropic.errors import RenderedError
from pinnace.core.wire.openai.errors import render as render_for_openai
from pinnace.handlers.context import UNKNOWN, RequestContext, current
from pinnace.handlers.recording import record
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response

log = logging.getLogger("pinnace.http")

PREFIXES = {"/sdk": Profile.AGENT, "/api": Profile.MESSAGES}
#: The method of what comes over a WebSocket.
SOCKET = "WEBSOCKET"
#: The API's answers name an organization; a server has one.
ORGANIZATION = "00000000-0000-4000-8000-000000000000"


class Border:
    """The outermost layer: what leaves it is well-formed, whatever happened inside."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app, self._services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._pass_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = self._context(scope, scope["method"])
        token = current.set(context)
        sender = _Sender(send, context, self._services)
        inner = _unprefixed(scope, context)
        try:
            await self._app(inner, receive, sender)
        except Exception as error:  # noqa: BLE001 - nothing gets past the border
            await self._fail(error, context, scope, receive, sender)
        finally:
            context.route = _route_of(inner)
            record(context, self._services)
            current.reset(token)

    async def _pass_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket lies under the same prefixes; each of its turns is a request of its own, and is recorded as one."""
        context = self._context(scope, SOCKET)
        token = current.set(context)
        try:
            await self._app(_unprefixed(scope, context), receive, send)
        finally:
            current.reset(token)

    def _context(self, scope: Scope, method: str) -> RequestContext:
        context = RequestContext(method, scope["path"], self._services.clock.monotonic())
        headers = Headers(scope=scope)
        context.identify(headers.get("x-request-id"))
        context.user_agent, context.host = headers.get("user-agent"), headers.get("host")
        return context

    async def _fail(
        self, given: Exception, context: RequestContext, scope: Scope, receive: Receive, sender: _Sender
    ) -> None:
        error = _as_ours(scope, given)
        if not isinstance(error, PinnaceError):
            log.error("unexpected error", exc_info=given)
        rendered = context.refusals(error, context.request_id)
        context.error = rendered.body["error"]["type"]
        if context.status == 0:
            await error_response(rendered)(scope, receive, sender)
        else:
            context.cut = True


class _Sender:
    """Adds the headers of every answer and notes what goes out."""

    def __init__(self, send: Send, context: RequestContext, services: Services) -> None:
        self._send, self._context, self._services = send, context, services

    async def __call__(self, message: Message) -> None:
        context = self._context
        if message["type"] == "http.response.start":
            context.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["request-id"] = context.request_id
            headers["x-request-id"] = context.client_id
            headers["anthropic-organization-id"] = ORGANIZATION
            headers.update(context.headers | _rate_headers(context, self._services.clock.now()))
        elif message["type"] == "http.response.body":
            if context.first_byte is None and message.get("body"):
                context.first_byte = self._services.clock.monotonic()
            context.sent += len(message.get("body", b""))
        await self._send(message)


def _unprefixed(scope: Scope, context: RequestContext) -> Scope:
    """Take the prefix off the path. An `app` in the scope makes the router raise its refusals instead of rendering them."""
    path: str = scope["path"]
    for prefix, profile in PREFIXES.items():
        if path.startswith(prefix + "/"):
            context.prefix_profile = profile
            context.prefix, context.path = prefix, path.removeprefix(prefix)
            break
    if context.path.startswith("/v1/chat/"):
        context.refusals = render_for_openai
    return {**scope, "path": context.path, "raw_path": context.path.encode(), "app": None}


def _route_of(inner: Scope) -> str:
    """The template of the route, without Starlette's word for how it is matched; the router noted it in the scope."""
    return re.sub(r":\w+}", "}", getattr(inner.get("route"), "path", UNKNOWN))


def _as_ours(scope: Scope, error: Exception) -> Exception:
    """The router's own refusals, in the shape of every other error."""
    if not isinstance(error, HTTPException):
        return error
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = tuple(sorted(method.strip() for method in (error.headers or {}).get("Allow", "").split(",")))
        return MethodRefused(f"{scope['method']} is not for this path; use {' or '.join(allowed)}.", allowed=allowed)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound("There is nothing at this path; the API lies under /v1, /api/v1 and /sdk/v1.")
    return InvalidRequest("The request cannot be understood.")


def error_response(rendered: RenderedError) -> Response:
    """An error in the client's own shape."""
    return json_response(rendered.body, status=rendered.status, headers=rendered.headers)


def _rate_headers(context: RequestContext, now: float) -> dict[str, str]:
    """How the key's limits stand, in the API's own headers."""
    headers: dict[str, str] = {}
    for meter in context.meters:
        prefix = f"anthropic-ratelimit-{meter.kind}"
        headers[f"{prefix}-limit"] = str(meter.limit)
        headers[f"{prefix}-remaining"] = str(meter.remaining)
        headers[f"{prefix}-reset"] = datetime.fromtimestamp(now + meter.reset, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return headers


def context_of(_request: HTTPConnection) -> RequestContext:
    """What is known of the request being served."""
    context = current.get()
    if context is None:
        raise NotFound("There is no request here.")
    return context


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body of at most `limit` bytes, and not one byte more.

    Raises:
        RequestTooLarge: it has more.
    """
    message = f"The request is larger than the {limit} bytes that are allowed."
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise RequestTooLarge(message, limit=limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise RequestTooLarge(message, limit=limit)
        parts.append(part)
    return b"".join(parts)
