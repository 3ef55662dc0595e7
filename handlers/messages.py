"""Knows `POST /v1/messages` and `/v1/messages/count_tokens`: parse, call one use case, render; it must not know an adapter."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.run import MessageMode, RunRequest
from pinnace.core.usecases.messages import Receipt, converse, count_tokens, resolve_model
from pinnace.core.wire.anthropic.requests import parse_count_tokens_request, parse_messages_request
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import authenticate, context_of, profile_of, read_body
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services
from pinnace.handlers.streaming import Events, EventStream, WholeMessage
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
        settings, runner = self._services.settings, self._services.runner
        context = context_of(request)
        authenticate(request, settings)
        context.profile = profile_of(request, settings)
        mode = message_mode(request, settings.agent.message_mode)
        version = request.headers.get("anthropic-version") or FIRST
        raw = await read_body(request, settings.max_body_bytes)
        parsed = parse_messages_request(raw, strict=settings.compat.strict, versioned=version)
        context.model = await resolve_model(runner, parsed.model)
        run = RunRequest(
            request_id=context.request_id,
            project=settings.project,
            profile=context.profile,
            model=context.model,
            body=parsed.body,
            betas=betas(request),
            api_version=version,
            seconds=settings.request_timeout,
        )
        receipt = Receipt()
        events = _accounted(converse(runner, run, mode, receipt), receipt, context)
        if parsed.stream:
            return EventStream(events, context, settings.ping_seconds)
        return WholeMessage(events, context)

    async def count(self, request: Request) -> Response:
        """Count the tokens of a request; `x-pinnace-estimate` says where the number is not the upstream's own."""
        settings = self._services.settings
        authenticate(request, settings)
        raw = await read_body(request, settings.max_body_bytes)
        parsed = parse_count_tokens_request(raw)
        model = await resolve_model(self._services.runner, parsed.model)
        tokens, exact = await count_tokens(self._services.counter, parsed.body, model, betas(request))
        headers = {} if exact else {"x-pinnace-estimate": "true"}
        return json_response({"input_tokens": tokens}, headers=headers)


async def _accounted(events: Any, receipt: Receipt, context: RequestContext) -> Events:
    try:
        async for event in events:
            yield event
    finally:
        await events.aclose()
        context.outcome = receipt.outcome


def betas(request: Request) -> tuple[str, ...]:
    """The values of `anthropic-beta`, which may come as a list, as several headers, or as both."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))


def message_mode(request: Request, default: MessageMode) -> MessageMode:
    """How the agent's steps show.

    Raises:
        InvalidRequest: the header names no mode.
    """
    given = request.headers.get("x-sdk-message-mode")
    if given is None:
        return default
    try:
        return MessageMode(given)
    except ValueError:
        raise InvalidRequest("must be 'forward', 'formatted' or 'ignore'", path="x-sdk-message-mode") from None
