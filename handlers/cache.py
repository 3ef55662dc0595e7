"""Knows `DELETE /v1/cache`: a project's cached answers are forgotten; it must not know how they are kept."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.model.access import Scope
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response


class Cache:
    """The endpoint of the cache."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/cache", self.forget, methods=["DELETE"])]

    async def forget(self, request: Request) -> Response:
        """Forget the cached answers of a project."""
        services = self._services
        principal = await authenticate(request, services, Scope.MESSAGES)
        project_id = request.query_params.get("project_id", principal.project_id)
        project = await services.access.project_of(principal, project_id)
        return json_response({"type": "cache_forgotten", "forgotten": await services.calls.replay.forget(project.id)})
