"""Knows `GET /v1/logs/stats`: which days, of which project; it must not know how the log is kept."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.model.access import Principal, Scope
from pinnace.core.wire.admin.log_views import stats_view
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.usage import days_of
from pinnace.handlers.whole import json_response


class LogStats:
    """The endpoint of the access log."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/logs/stats", self.show)]

    async def show(self, request: Request) -> Response:
        """Tell how requests fared in a period."""
        services = self._services
        principal = await authenticate(request, services, Scope.USAGE)
        project_id = await self._project(principal, request.query_params.get("project_id"))
        period, first, last = days_of(request, services.clock.now())
        stats = await services.access_log.stats(project_id, first, last)
        return json_response(stats_view(project_id, period, (first, last), stats))

    async def _project(self, principal: Principal, asked: str | None) -> str | None:
        """Whose requests are counted; None stands for everybody's, which administrators alone may see."""
        if asked is None and principal.is_admin:
            return None
        project = await self._services.access.project_of(principal, principal.project_id if asked is None else asked)
        return project.id
