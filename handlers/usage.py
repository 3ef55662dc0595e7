"""Knows `GET /v1/usage`: which days, of which project, as JSON or CSV; it must not know an adapter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import InvalidRequest, NotFound
from pinnace.core.model.access import Scope
from pinnace.core.model.usage import UsageTotal
from pinnace.core.wire.admin.views import usage_csv, usage_view
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response

#: Days that the period goes back from today; a month is the calendar's.
DAYS = {"day": 0, "week": 6}


class Usage:
    """The endpoint of usage."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/usage", self.show)]

    async def show(self, request: Request) -> Response:
        """Tell what a project used in a period."""
        services, query = self._services, request.query_params
        principal = await authenticate(request, services, Scope.USAGE)
        project_id = query.get("project_id", principal.project_id)
        project = await services.access.project_of(principal, project_id)
        key_id, model = query.get("key_id"), query.get("model")
        if key_id is not None and await services.access.directory.key(project.id, key_id) is None:
            raise NotFound(f"There is no key {key_id!r}.")
        period, first, last = days_of(request, services.clock.now())
        totals = await services.calls.usage.totals(project.id, first, last, key_id)
        shown = [total for total in totals if model in (None, total.model)]
        return _rendered(request, project.id, period, (first, last), shown)


def _rendered(
    request: Request, project_id: str, period: str, days: tuple[str, str], totals: list[UsageTotal]
) -> Response:
    form = request.query_params.get("format", "csv" if request.headers.get("accept") == "text/csv" else "json")
    if form == "csv":
        return Response(usage_csv(totals), media_type="text/csv")
    if form != "json":
        raise InvalidRequest("must be 'json' or 'csv'", path="format")
    return json_response(usage_view(project_id, period, days, totals))


def days_of(request: Request, now: float) -> tuple[str, str, str]:
    """The period that is asked for, with its first and its last day (UTC).

    Raises:
        InvalidRequest: it is none.
    """
    query, today = request.query_params, datetime.fromtimestamp(now, UTC).date()
    if "from" in query or "to" in query:
        last = _day(query.get("to", today.isoformat()), "to")
        return "custom", _day(query.get("from"), "from"), last
    period = query.get("period", "month")
    if period in DAYS:
        return period, (today - timedelta(days=DAYS[period])).isoformat(), today.isoformat()
    if period == "month":
        return period, today.replace(day=1).isoformat(), today.isoformat()
    if period == "all":
        return period, "0001-01-01", today.isoformat()
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        return period, f"{period}-01", f"{period}-31"
    raise InvalidRequest("must be 'day', 'week', 'month', 'all' or a month such as 2026-11", path="period")


def _day(given: str | None, path: str) -> str:
    try:
        return datetime.strptime(given or "", "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        raise InvalidRequest("must be a day such as 2026-11-21", path=path) from None
