"""Knows how to serve scripted answers over HTTP on loopback and to record each request; it must not know pinnace's server.

Start it in a test with `with Upstream() as upstream:` and point a client's base URL at `upstream.url`; from a shell with
`pinnace upstream --port N --record FILE`. `Upstream.requests` holds what reached the model.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.testing.answer import Answer, Cut, Event, Failure, Header, Piece, Raw, Wait, estimate_tokens
from pinnace.testing.clouds import BEDROCK_PATH, EVENT_STREAM, VERTEX_PATH, Called, event_frame
from pinnace.testing.script import Step, turn_for

RATE_LIMITS = {
    "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
}
NO_REQUEST = "the body must be a JSON object whose messages are objects"
_TRANSPORT = "pinnace.transport"
_ids = itertools.count(1)


class _CuttableProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the connection within an application's reach, since ASGI has no word for dropping one."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


class _Dropped(Response):
    """An answer that is never given: the connection closes instead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        scope["extensions"][_TRANSPORT]["transport"].abort()


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came: method, path with query, headers in lower case, and the body as JSON (None where empty).

    A body that is no JSON is its text.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Upstream:
    """The scripted endpoint; a context manager that serves from a thread of its own.

    `port` 0 takes a free one. `record` is a file that gets one JSON object a request.
    """

    port: int = 0
    record: Path | None = None
    requests: list[Recorded] = field(default_factory=list)
    _seen: Counter[tuple[str, Step]] = field(default_factory=Counter)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the Messages calls, in their order."""
        return [seen.body for seen in list(self.requests) if seen.path.split("?")[0] == "/v1/messages" and seen.body]

    def forget(self) -> None:
        """Drop what was recorded, and the counts of `::times`."""
        self.requests.clear()
        self._seen.clear()

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(self.config())
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server and self._thread:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(timeout=10)

    def config(self) -> uvicorn.Config:
        """How uvicorn serves it: quietly, and on loopback alone."""
        return uvicorn.Config(
            self.app(),
            host="127.0.0.1",
            port=self.port,
            http=_CuttableProtocol,
            lifespan="off",
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=1,
        )

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
                Route(BEDROCK_PATH, self._bedrock, methods=["POST"]),
                Route(VERTEX_PATH, self._vertex, methods=["POST"]),
                Route("/{path:path}", self._anything, methods=["GET", "HEAD", "POST", "PUT", "DELETE"]),
            ]
        )

    async def _anything(self, request: Request) -> Response:
        await self._recorded(request)
        if request.method == "HEAD":
            return Response()
        return _failure(Failure(404, "not_found_error", "the scripted endpoint has no such path"), {})

    async def _count_tokens(self, request: Request) -> Response:
        body = await self._recorded(request)
        if not _is_request(body):
            return _failure(Failure(400, "invalid_request_error", NO_REQUEST), {})
        return JSONResponse({"input_tokens": estimate_tokens(body)}, headers=_headers())

    async def _messages(self, request: Request) -> Response:
        return await self._answered(request, await self._recorded(request))

    async def _bedrock(self, request: Request) -> Response:
        return await self._answered(request, await self._recorded(request), event_frame)

    async def _vertex(self, request: Request) -> Response:
        return await self._answered(request, await self._recorded(request))

    async def _answered(
        self, request: Request, body: Any, encode: Callable[[dict[str, Any]], bytes] | None = None
    ) -> Response:
        if not _is_request(body):
            return _failure(Failure(400, "invalid_request_error", NO_REQUEST), {})
        try:
            turn = turn_for(body["messages"])
        except ValueError as error:
            return _failure(Failure(400, "invalid_request_error", str(error)), {})
        if request.path_params:
            called = Called.read(request.path_params)
            body = body | {"model": called.model, "stream": called.stream}
        pieces = Answer(body).pieces(turn, self._counts)
        headers = _headers()
        rest: Iterator[Piece] = iter(())
        for piece in pieces:
            if isinstance(piece, Header):
                headers[piece.name.lower()] = piece.value
            elif isinstance(piece, Wait):
                await _wait(piece)
            elif isinstance(piece, Failure):
                return _failure(piece, headers)
            elif isinstance(piece, Cut):
                return _Dropped()
            else:
                rest = itertools.chain([piece], pieces)
                break
        if not body.get("stream"):
            return await _whole(rest, headers)
        media_type = EVENT_STREAM if encode else "text/event-stream"
        return StreamingResponse(_streamed(rest, request, encode or _sse), media_type=media_type, headers=headers)

    def _counts(self, key: str, step: Step) -> bool:
        if not step.times:
            return True
        self._seen[key, step] += 1
        return self._seen[key, step] <= step.times

    async def _recorded(self, request: Request) -> Any:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw.decode(errors="replace")
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        seen = Recorded(request.method, path, dict(request.headers), body)
        self.requests.append(seen)
        if self.record:
            line = {"method": seen.method, "path": seen.path, "headers": seen.headers, "body": body}
            with self.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return body


def _is_request(body: Any) -> bool:
    messages = body.get("messages") if isinstance(body, dict) else None
    return isinstance(messages, list) and all(isinstance(message, dict) for message in messages)


def _headers() -> dict[str, str]:
    return {"request-id": f"req_scripted{next(_ids):010d}"} | RATE_LIMITS


async def _wait(piece: Wait) -> None:
    if piece.seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(piece.seconds)


def _failure(failure: Failure, headers: dict[str, str]) -> Response:
    error = {"type": failure.kind, "message": failure.message}
    content = {"type": "error", "error": error, "request_id": headers.get("request-id")}
    return JSONResponse(content, status_code=failure.status, headers=headers)


async def _whole(pieces: Iterator[Piece], headers: dict[str, str]) -> Response:
    assembler = MessageAssembler()
    for piece in pieces:
        if isinstance(piece, Event):
            assembler.feed(piece.data)
        elif isinstance(piece, Wait):
            await _wait(piece)
        elif isinstance(piece, Failure):
            return _failure(piece, headers)
        elif isinstance(piece, Cut):
            return _Dropped()
    return JSONResponse(assembler.message(), headers=headers)


async def _streamed(
    pieces: Iterator[Piece], request: Request, encode: Callable[[dict[str, Any]], bytes]
) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Event):
            yield encode(piece.data)
        elif isinstance(piece, Raw):
            yield piece.data
        elif isinstance(piece, Wait):
            await _wait(piece)
        elif isinstance(piece, Failure):
            yield encode({"type": "error", "error": {"type": piece.kind, "message": piece.message}})
            return
        elif isinstance(piece, Cut):
            # What was written before the cut must reach the client first: one turn of the loop flushes it.
            await asyncio.sleep(0.02)
            request.scope["extensions"][_TRANSPORT]["transport"].abort()
            return


def _sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
