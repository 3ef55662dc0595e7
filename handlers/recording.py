"""Knows what is written down when a request has ended: log, access log and metrics; it must not know an endpoint."""

from __future__ import annotations

import logging

from pinnace.handlers.access_record import record_of
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services

access = logging.getLogger("pinnace.access")


def record(context: RequestContext, services: Services) -> None:
    """Write down what became of a request that ends now."""
    seconds = services.clock.monotonic() - context.began
    outcome = context.outcome
    fields = {
        "method": context.method,
        "path": context.path,
        "status": context.status,
        "milliseconds": round(seconds * 1000, 1),
        "first_byte_milliseconds": None
        if context.first_byte is None
        else round((context.first_byte - context.began) * 1000, 1),
        "bytes": context.sent,
        "profile": context.profile,
        "project": context.project,
        "key": context.principal.key_id if context.principal else None,
        "model": context.model,
        "error": context.error,
        "cut": context.cut,
        "usage": dict(outcome.usage) if outcome else None,
        "cost_microusd": outcome.cost_microusd if outcome else None,
        "warm": outcome.warm if outcome else None,
        "fallback": outcome.fallback if outcome else None,
    }
    access.info("request", extra={name: value for name, value in fields.items() if value is not None})
    services.access_log.add(record_of(context, services.clock.now(), seconds))
    services.metrics.request(context.route, context.status, seconds, context.error)
    if outcome and context.profile:
        services.metrics.used(context.profile, outcome)
