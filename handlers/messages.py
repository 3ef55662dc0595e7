"""Knows `POST /v1/messages` and `/v1/messages/count_tokens`: parse, call one use case, render; it must not know an adapter."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.model.access import Scope
from pinnace.core.usecases.call import Receipt
from pinnace.core.usecases.messages import count_tokens, resolve_model
from pinnace.core.wire.anthropic.requests import parse_count_tokens_request, parse_messages_request
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import context_of, read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.calling import accounted, betas, call_for, session_id, with_defaults
from pinnace.handlers.services import Services
from pinnace.handlers.streaming import EventStream, WholeMessage
from pinnace.handlers.whole import json_response


class Messages:
    """The endpoints of messages."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages", self.create, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a message, streamed or whole."""
        services, context = self._services, context_of(request)
        settings = services.settings
        principal = await authenticate(request, services, Scope.MESSAGES)
        version = request.headers.get("anthropic-version") or FIRST
        raw = await with_defaults(request, services, principal, await read_body(request, settings.max_body_bytes))
        continued = session_id(request) is not None
        parsed = parse_messages_request(raw, strict=settings.compat.strict, versioned=version, continued=continued)
        call = call_for(request, services, principal, parsed.body)
        receipt = Receipt()
        events = accounted(services.calls.stream(call, receipt), receipt, context, services.clock)
        if parsed.stream:
            return EventStream(events, context, settings.ping_seconds)
        return WholeMessage(events, context)

    async def count(self, request: Request) -> Response:
        """Count the tokens of a request; `x-pinnace-estimate` says where the number is not the upstream's own."""
        services = self._services
        principal = await authenticate(request, services, Scope.MESSAGES)
        raw = await read_body(request, services.settings.max_body_bytes)
        parsed = parse_count_tokens_request(raw)
        model = await resolve_model(services.runner, parsed.model)
        body = await services.calls.files.attach(principal.project_id, parsed.body)
        tokens, exact = await count_tokens(services.counter, body, model, betas(request))
        headers = {} if exact else {"x-pinnace-estimate": "true"}
        return json_response({"input_tokens": tokens}, headers=headers)
