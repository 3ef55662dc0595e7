"""Knows what the server tells of itself: health, settings, pool, metrics and schema; it must not know how a call is served."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import CliUnavailable, NotFound
from pinnace.handlers.authentication import authenticate_operator
from pinnace.handlers.openapi import document
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response


class System:
    """The endpoints of the server itself."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
            Route("/v1/config", self.config),
            Route("/v1/pool/stats", self.pool),
        ]

    async def health(self, _request: Request) -> Response:
        """Say whether the CLI runs; open to load balancers, so it tells no more than versions."""
        try:
            version = await self._services.runner.version()
        except CliUnavailable as error:
            broken = {
                "status": "failed",
                "version": self._services.version,
                "cli": {"version": None, "error": error.message},
            }
            return json_response(broken, status=503)
        return json_response({"status": "ok", "version": self._services.version, "cli": {"version": version}})

    async def metrics(self, request: Request) -> Response:
        """Prometheus's text format."""
        await authenticate_operator(request, self._services)
        rendered = self._services.metrics.render(self._services.runner.stats(), self._services.access_log.lost)
        if rendered is None:
            raise NotFound("There are no metrics here: pip install 'pinnace[metrics]' brings them.")
        return Response(rendered[0], headers={"content-type": rendered[1]})

    async def openapi(self, _request: Request) -> Response:
        """The schema of this API."""
        return json_response(document(self._services.version))

    async def config(self, request: Request) -> Response:
        """The settings, without their secrets."""
        await authenticate_operator(request, self._services)
        shown = self._services.settings.public()
        shown["prices"] |= {"list": self._services.calls.billing.prices.as_of}
        return json_response(shown)

    async def pool(self, request: Request) -> Response:
        """The pool at this moment."""
        await authenticate_operator(request, self._services)
        return json_response(asdict(self._services.runner.stats()))
