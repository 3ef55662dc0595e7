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
from pinnace.core.usecases.calls import CacheUse, Call, Receipt
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import context_of
from pinnace.handlers.authentication import profile_of
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services

LONGEST_KEY = 255


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
        cache=cache_use(request, enabled=settings.cache.enabled),
        idempotency_key=idempotency_key(request, number),
    )


async def accounted(
    events: AsyncGenerator[dict[str, Any], None], receipt: Receipt, context: RequestContext
) -> AsyncGenerator[dict[str, Any], None]:
    """Pass events on, and tell the request's context what became of the call."""
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                _tell(context, receipt)
                yield event
    finally:
        _tell(context, receipt)
        context.model = receipt.model or None
        context.outcome = replace(receipt.outcome, cost_microusd=receipt.amount.microusd)


def _tell(context: RequestContext, receipt: Receipt) -> None:
    """What the answer's headers say."""
    context.meters = receipt.meters
    if receipt.cache is not None:
        context.headers["x-pinnace-cache"] = receipt.cache
    if receipt.replayed:
        context.headers["idempotent-replayed"] = "true"


def cache_use(request: Request, *, enabled: bool) -> CacheUse:
    """Whether the cache is used: as the header says, else as the setting does.

    Raises:
        InvalidRequest: the header says none of the three.
    """
    given = request.headers.get("x-pinnace-cache", "on" if enabled else "off")
    try:
        return CacheUse(given)
    except ValueError:
        raise InvalidRequest("must be 'on', 'off' or 'refresh'", path="x-pinnace-cache") from None


def idempotency_key(request: Request, number: int | None) -> str | None:
    """The request's `Idempotency-Key`; each call of a request has one of its own.

    Raises:
        InvalidRequest: it is empty or too long.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not 1 <= len(given) <= LONGEST_KEY:
        raise InvalidRequest(f"must have 1 to {LONGEST_KEY} characters", path="idempotency-key")
    return given if number is None else f"{given}#{number}"


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
