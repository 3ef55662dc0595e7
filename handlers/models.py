"""Knows `GET /v1/models` and `/v1/models/{id}`, in the shape of whoever asks; it must not know where models come from."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import InvalidRequest, NotFound
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.usecases.messages import list_models
from pinnace.core.wire.anthropic.models import render_model, render_openai_list, render_openai_model, render_page
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response

LARGEST_PAGE = 1000


class Models:
    """The endpoints of models."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/models", self.list), Route("/v1/models/{model_id:path}", self.show)]

    async def list(self, request: Request) -> Response:
        """List the models that the caller may use; without `anthropic-version` an OpenAI client is asking."""
        models = await self._usable(request)
        if "anthropic-version" not in request.headers:
            return json_response(render_openai_list(models))
        query = request.query_params
        page = render_page(
            models, limit=_limit(query.get("limit")), after_id=query.get("after_id"), before_id=query.get("before_id")
        )
        return json_response(page)

    async def show(self, request: Request) -> Response:
        """Show one model, by its id or an alias."""
        name = request.path_params["model_id"]
        for model in await self._usable(request):
            if model.answers_to(name):
                anthropic = "anthropic-version" in request.headers
                return json_response(render_model(model) if anthropic else render_openai_model(model))
        raise NotFound(f"model: {name}")

    async def _usable(self, request: Request) -> Sequence[ModelInfo]:
        principal = await authenticate(request, self._services)
        return [model for model in await list_models(self._services.runner) if principal.may_use(model.id)]


def _limit(given: str | None) -> int:
    if given is None:
        return 20
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:6]) <= LARGEST_PAGE:
        raise InvalidRequest("must be an integer from 1 to 1000", path="limit")
    return int(given)
