"""Knows how a request becomes a call, for every endpoint that makes one; it must not know any endpoint's shape."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.access import Principal
from pinnace.core.model.run import MessageMode
from pinnace.core.usecases.calls import Call, Receipt
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import context_of
from pinnace.handlers.authentication import profile_of
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services


def call_for(
    request: Request, services: Services, principal: Principal, body: Mapping[str, Any], number: int | None = None
) -> Call:
    """The call that a request with this Messages body makes; `number` tells the calls of one request apart.

    Raises:
        InvalidRequest: a header has a value that it cannot have.
    """
    context, settings = context_of(request), services.settings
    context.profile = profile_of(request, settings, principal)
    return Call(
        request_id=context.request_id if number is None else f"{context.request_id}-{number}",
        principal=principal,
        profile=context.profile,
        path=context.path,
        model=body["model"],
        body=body,
        betas=betas(request),
        api_version=request.headers.get("anthropic-version") or FIRST,
        seconds=settings.request_timeout,
        mode=message_mode(request, settings.agent.message_mode),
    )


async def accounted(
    events: AsyncGenerator[dict[str, Any], None], receipt: Receipt, context: RequestContext
) -> AsyncGenerator[dict[str, Any], None]:
    """Pass events on, and tell the request's context what became of the call."""
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                context.meters = receipt.meters
                yield event
    finally:
        context.meters = receipt.meters
        context.model = receipt.model or None
        context.outcome = replace(receipt.outcome, cost_microusd=receipt.amount.microusd)


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
