"""Knows `POST /v1/batch`: several calls for one request, at once or in order, each with its own fate."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import PinnaceError
from pinnace.core.model.access import Principal, Scope
from pinnace.core.model.usage import Use
from pinnace.core.usecases.call import Receipt
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.anthropic.errors import render
from pinnace.core.wire.batch import Batch, Item, batch_view, read_batch
from pinnace.handlers._http import context_of, read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.calling import account, call_for
from pinnace.handlers.services import Services
from pinnace.handlers.streaming import WholeAnswer


class Batches:
    """The endpoint of simple batches."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/batch", self.create, methods=["POST"])]

    async def create(self, request: Request) -> Response:
        """Run a list of requests and answer when all of them have ended."""
        services = self._services
        principal = await authenticate(request, services, Scope.MESSAGES)
        batch = read_batch(await read_body(request, services.settings.max_body_bytes))
        if batch.project_id is not None:
            project = await services.access.project_of(principal, batch.project_id)
            principal = principal if project == principal.project else replace(principal, project=project, key=None)
        context = context_of(request)
        context.principal, context.project = principal, principal.project_id
        name = f"batch_{context.request_id.removeprefix('req_')}"

        async def run() -> dict[str, object]:
            places = asyncio.Semaphore(batch.at_once)
            receipts = [Receipt() for _ in batch.requests]

            async def one(index: int, receipt: Receipt) -> Item:
                async with places:
                    return await self._item(request, principal, batch, index, receipt)

            try:
                # Not a task group: what is cancelled here is cancelled with the request, and errors are results.
                items = await asyncio.gather(*(one(index, receipt) for index, receipt in enumerate(receipts)))
            finally:
                account(receipts, context)
            return batch_view(name, batch, items)

        return WholeAnswer(run(), context)

    async def _item(self, request: Request, principal: Principal, batch: Batch, index: int, receipt: Receipt) -> Item:
        message = error = None
        try:
            call = call_for(request, self._services, principal, batch.body(index), index)
            assembler = MessageAssembler()
            async with contextlib.aclosing(self._services.calls.stream(call, receipt)) as events:
                async for event in events:
                    assembler.feed(event)
            message = assembler.message()
        except PinnaceError as failure:
            error = render(failure, "").body["error"]
        return Item(receipt.model or None, message, error, sum(receipt.used.values(), Use()))
