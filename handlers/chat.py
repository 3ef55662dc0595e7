"""Knows `POST /v1/chat/completions`, for OpenAI's clients: parse, call the same use case as messages, render."""

from __future__ import annotations

import functools
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.model.access import Scope
from pinnace.core.usecases.call import Receipt
from pinnace.core.wire.anthropic.requests import check_messages_body
from pinnace.core.wire.openai import sse
from pinnace.core.wire.openai.answers import ChunkWriter, complete, completion_id
from pinnace.core.wire.openai.requests import parse_chat_request
from pinnace.handlers._http import context_of, read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.calling import accounted, call_for
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services
from pinnace.handlers.streaming import EventStream, WholeMessage


class Chat:
    """The endpoint of chat completions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        return [Route("/v1/chat/completions", self.create, methods=["POST"])]

    async def create(self, request: Request) -> Response:
        """Create a chat completion, streamed or whole."""
        services, context = self._services, context_of(request)
        principal = await authenticate(request, services, Scope.MESSAGES)
        asked = parse_chat_request(await read_body(request, services.settings.max_body_bytes))
        call = call_for(request, services, principal, check_messages_body(asked.body).body)
        receipt = Receipt()
        events = accounted(services.calls.stream(call, receipt), receipt, context, services.clock)
        created = int(services.clock.now())
        name = completion_id(context.request_id)
        if asked.stream:
            chunks = ChunkWriter(name=name, model=asked.model, created=created, include_usage=asked.include_usage)
            return EventStream(events, context, services.settings.ping_seconds, OpenAIWriter(chunks, context, receipt))
        return WholeMessage(events, context, functools.partial(_completion, name, created, receipt))


class OpenAIWriter:
    """Chunks of a chat completion."""

    ping = sse.PING

    def __init__(self, chunks: ChunkWriter, context: RequestContext, receipt: Receipt) -> None:
        self._chunks, self._context, self._receipt = chunks, context, receipt

    def event(self, event: dict[str, Any]) -> bytes:
        return b"".join(sse.encode(chunk) for chunk in self._chunks.feed(event))

    def end(self) -> bytes:
        last = self._chunks.finish(_cost(self._receipt))
        return b"".join(sse.encode(chunk) for chunk in last) + sse.DONE

    def error(self, error: BaseException) -> bytes:
        return sse.encode_error(error, self._context.request_id)


def _completion(name: str, created: int, receipt: Receipt, message: dict[str, Any]) -> dict[str, Any]:
    return complete(message, name=name, model=receipt.model, created=created, cost_usd=_cost(receipt))


def _cost(receipt: Receipt) -> float | None:
    """Dollars; None where a model has no price."""
    return receipt.amount.microusd / 1_000_000 if receipt.cost_known else None
