"""Knows `/v1/messages/batches`: parse, call one use case, render; it must not know how an item is run."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import RequestTooLarge
from pinnace.core.model.access import Principal, Scope
from pinnace.core.model.batches import Batch
from pinnace.core.wire.admin.views import page_view
from pinnace.core.wire.anthropic.batches import batch_view
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.handlers._http import context_of
from pinnace.handlers.authentication import authenticate, profile_of
from pinnace.handlers.calling import betas, idempotency_key
from pinnace.handlers.parts import file_response
from pinnace.handlers.projects import page_size
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response


class MessageBatches:
    """The endpoints of message batches; all of them see those of the caller's own project alone."""

    def __init__(self, services: Services) -> None:
        self._services, self._book = services, services.batches

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages/batches", self.create, methods=["POST"]),
            Route("/v1/messages/batches", self.list_all, methods=["GET"]),
            Route("/v1/messages/batches/{batch_id}", self.show, methods=["GET"]),
            Route("/v1/messages/batches/{batch_id}", self.delete, methods=["DELETE"]),
            Route("/v1/messages/batches/{batch_id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/messages/batches/{batch_id}/results", self.results, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a batch; its items begin at once."""
        services = self._services
        principal = await authenticate(request, services, Scope.BATCHES)
        batch = await self._book.create(
            principal,
            _pieces(request, services.settings.batches.max_bytes),
            idempotency_key(request, None),
            profile=profile_of(request, services.settings, principal),
            betas=betas(request),
            api_version=request.headers.get("anthropic-version") or FIRST,
        )
        return _shown(request, batch)

    async def list_all(self, request: Request) -> Response:
        """List the project's batches, the newest first."""
        principal, limit = await self._caller(request), page_size(request)
        after, before = request.query_params.get("after_id"), request.query_params.get("before_id")
        found = await self._book.batches.page(principal.project_id, limit + 1, after, before)
        base, behind = base_of(request), before is None
        views = [batch_view(batch, base) for batch in (found[:limit] if behind else found[-limit:])]
        shown = page_view(views, limit)
        return json_response({**shown, "has_more": len(found) > limit})

    async def show(self, request: Request) -> Response:
        """Show how far a batch is."""
        return _shown(request, await self._batch(request))

    async def cancel(self, request: Request) -> Response:
        """Stop a batch; what was done is kept."""
        return _shown(request, await self._book.cancel(await self._batch(request)))

    async def delete(self, request: Request) -> Response:
        """Leave nothing of a batch that has ended."""
        batch = await self._batch(request)
        await self._book.remove(batch)
        return json_response({"id": batch.id, "type": "message_batch_deleted"})

    async def results(self, request: Request) -> Response:
        """The results as JSON lines, or a part of their file."""
        batch = await self._batch(request)
        file = await self._book.results(batch)
        return await file_response(
            request,
            batch.results_size,
            # They never change: a batch ends once.
            f'"{batch.id}"',
            {"content-type": "application/x-jsonl"},
            lambda start, length: self._book.blobs.read(file, start, length),
        )

    async def _batch(self, request: Request) -> Batch:
        principal = await self._caller(request)
        return await self._book.find(principal.project_id, request.path_params["batch_id"])

    async def _caller(self, request: Request) -> Principal:
        return await authenticate(request, self._services, Scope.BATCHES)


def base_of(request: Request) -> str:
    """Where the client sees this server, the prefix that it called included."""
    return f"{str(request.base_url).rstrip('/')}{context_of(request).prefix}"


def _shown(request: Request, batch: Batch) -> Response:
    return json_response(batch_view(batch, base_of(request)))


async def _pieces(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """A body of at most `limit` bytes.

    Raises:
        RequestTooLarge: it has more.
    """
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise RequestTooLarge(
                f"The batch is larger than the {limit} bytes that are allowed; make several.", limit=limit
            )
        yield piece
