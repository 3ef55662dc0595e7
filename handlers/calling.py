"""Knows how a request becomes a call, for every endpoint that makes one; it must not know any endpoint's shape."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import HTTPConnection

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.access import Principal
from pinnace.core.model.run import MessageMode, Outcome
from pinnace.core.ports import Clock
from pinnace.core.usecases.call import CacheUse, Call, Receipt
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import context_of
from pinnace.handlers.authentication import profile_of
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services

LONGEST_KEY = 255


def call_for(
    request: HTTPConnection,
    services: Services,
    principal: Principal,
    body: Mapping[str, Any],
    number: int | None = None,
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
        session_id=session_id(request) if number is None else None,
        session_wait=session_wait(request, settings.request_timeout),
    )


async def accounted(
    events: AsyncGenerator[dict[str, Any], None], receipt: Receipt, context: RequestContext, clock: Clock
) -> AsyncGenerator[dict[str, Any], None]:
    """Pass events on, and tell the request's context what became of the call."""
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                if context.first_delta is None and event.get("type") == "content_block_delta":
                    context.first_delta = clock.monotonic()
                _tell(context, receipt)
                yield event
    finally:
        _tell(context, receipt)
        context.model = receipt.model or None
        context.cost_known = receipt.cost_known
        context.outcome = replace(receipt.outcome, cost_microusd=receipt.amount.microusd)


def account(receipts: Sequence[Receipt], context: RequestContext) -> None:
    """Tell the request's context what became of all its calls; they have a model where it is the same one."""
    usage: Counter[str] = Counter()
    for receipt in receipts:
        usage.update(receipt.outcome.usage)
    models = {receipt.model for receipt in receipts}
    context.model = next(iter(models)) or None if len(models) == 1 else None
    context.cost_known = all(receipt.cost_known for receipt in receipts)
    context.outcome = Outcome(
        usage=usage,
        cost_microusd=sum(receipt.amount.microusd for receipt in receipts),
        calls=sum(receipt.outcome.calls for receipt in receipts),
    )


def _tell(context: RequestContext, receipt: Receipt) -> None:
    """What the answer's headers say."""
    context.meters = receipt.meters
    if receipt.cache is not None:
        context.headers["x-pinnace-cache"] = context.cache = receipt.cache
    if receipt.replayed:
        context.headers["idempotent-replayed"] = "true"


def cache_use(request: HTTPConnection, *, enabled: bool) -> CacheUse:
    """Whether the cache is used: as the header says, else as the setting does.

    Raises:
        InvalidRequest: the header says none of the three.
    """
    given = request.headers.get("x-pinnace-cache", "on" if enabled else "off")
    try:
        return CacheUse(given)
    except ValueError:
        raise InvalidRequest("must be 'on', 'off' or 'refresh'", path="x-pinnace-cache") from None


def idempotency_key(request: HTTPConnection, number: int | None) -> str | None:
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


def session_id(request: HTTPConnection) -> str | None:
    """The session that a call is a turn of; a header that is UTF-8 is read as that, so that paths name the same one."""
    given = request.headers.get("x-session-id")
    if given is None or given.isascii():
        return given
    try:
        return given.encode("latin-1").decode()
    except UnicodeDecodeError:
        return given


def session_wait(request: HTTPConnection, longest: float) -> float:
    """The seconds that a call waits for another one of its session.

    Raises:
        InvalidRequest: the header is no number of them.
    """
    given = request.headers.get("x-session-wait", "0")
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= longest:
        raise InvalidRequest(f"must be 0 to {longest:g} seconds", path="x-session-wait")
    return seconds


async def with_defaults(request: HTTPConnection, services: Services, principal: Principal, raw: bytes) -> bytes:
    """A body with what its session says and it does not."""
    name = session_id(request)
    defaults = {} if name is None else await services.calls.sessions.defaults(principal.project_id, name)
    if not defaults:
        return raw
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw
    return orjson.dumps({**defaults, **given}) if isinstance(given, dict) else raw


def betas(request: HTTPConnection) -> tuple[str, ...]:
    """The values of `anthropic-beta`, which may come as a list, as several headers, or as both."""
    values = ",".join(request.headers.getlist("anthropic-beta")).split(",")
    return tuple(dict.fromkeys(value.strip() for value in values if value.strip()))


def message_mode(request: HTTPConnection, default: MessageMode) -> MessageMode:
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
