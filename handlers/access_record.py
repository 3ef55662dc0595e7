"""Knows what the access log keeps of a request; it must not know how that is kept.

Nothing of a body is among it but the model's name, no header but the caller's `user-agent`, no key, no address, and of the path
its route alone: an id or a query in it may be a secret.
"""

from __future__ import annotations

from http import HTTPStatus

from pinnace.core.model.access_log import AccessRecord
from pinnace.core.usecases.calls import LEFT
from pinnace.core.wire.anthropic.errors import type_of
from pinnace.handlers.context import RequestContext

#: Characters of a text that the caller chose.
LONGEST = 200


def record_of(context: RequestContext, now: float, seconds: float) -> AccessRecord:
    """The record of a request that ended now and took so many seconds."""
    outcome = context.outcome
    return AccessRecord(
        at=now,
        request_id=context.request_id,
        project_id=context.project,
        key_id=context.principal.key_id if context.principal else None,
        method=context.method[:LONGEST],
        path=context.route,
        status=context.status or LEFT,
        error=_error(context),
        model=context.model[:LONGEST] if context.model else None,
        profile=context.profile,
        stream=context.stream,
        tokens=outcome.usage if outcome else None,
        cost_microusd=outcome.cost_microusd if outcome and context.cost_known else None,
        duration_ms=round(seconds * 1000, 1),
        first_delta_ms=None if context.first_delta is None else round((context.first_delta - context.began) * 1000, 1),
        cache=context.cache,
        user_agent=context.user_agent[:LONGEST] if context.user_agent else None,
    )


def _error(context: RequestContext) -> str | None:
    """The type of the error; also of one that was answered without saying it, such as a health that is not."""
    if context.error is not None:
        return context.error[:LONGEST]
    if context.cut or context.status == 0:
        return "client_left"
    return type_of(context.status) if context.status >= HTTPStatus.BAD_REQUEST else None
