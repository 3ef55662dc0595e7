"""Knows `POST /v1/route`: which model `auto` would be, and why; it must not know an adapter."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.model.access import Scope
from pinnace.core.model.routing import features_of_task
from pinnace.core.wire.admin.bodies import RouteQuestion, read
from pinnace.handlers._http import read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response


class Routing:
    """The endpoint of routing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/route", self.route, methods=["POST"])]

    async def route(self, request: Request) -> Response:
        """Choose a model for a task, without calling one."""
        services, router = self._services, self._services.calls.router
        principal = await authenticate(request, services, Scope.MESSAGES)
        asked = read(RouteQuestion, await read_body(request, services.settings.max_body_bytes))
        features = features_of_task(asked.task_description, asked.context_size, tools=asked.tools)
        decision, models = await router.decide(principal, features)
        estimates = router.estimates(features, models)
        costs = {estimate.tier: estimate.microusd for estimate in estimates}
        chosen, dearest = costs[decision.tier], max((cost for cost in costs.values() if cost is not None), default=None)
        saved = None if chosen is None or dearest is None else (dearest - chosen) / 1_000_000
        return json_response(
            {
                "recommended_model": models[decision.tier],
                "reasoning": decision.reasoning,
                "rule": decision.rule,
                "wanted": decision.wanted.value,
                "complexity": decision.complexity,
                "reasons": [asdict(reason) for reason in decision.reasons],
                "features": asdict(features),
                "estimates": [
                    {"model": one.model, "cost_usd": None if one.microusd is None else one.microusd / 1_000_000}
                    for one in estimates
                ],
                "saved_usd": saved,
            }
        )
