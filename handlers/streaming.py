"""Knows how a message goes out while it is being made, streamed or whole, and what happens when its caller leaves.

It must not know what makes the events. Plain asyncio, no task groups: a caller that leaves must cancel the run once, and the
run's own end must not be cancelled with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pinnace.core.wire.anthropic import sse
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.anthropic.errors import render
from pinnace.handlers.context import RequestContext
from pinnace.handlers.whole import json_response

Events = AsyncGenerator[dict[str, Any], None]
#: Events that wait for a caller that reads slowly; past it the run waits.
AHEAD = 256


class Writer(Protocol):
    """Writes events as one client reads them: an event may be no bytes, and `end` is what follows the last one."""

    @property
    def ping(self) -> bytes: ...

    def event(self, event: dict[str, Any]) -> bytes: ...

    def end(self) -> bytes: ...

    def error(self, error: BaseException) -> bytes: ...


class AnthropicWriter:
    """The Messages API's own events."""

    ping = sse.PING

    def __init__(self, context: RequestContext) -> None:
        self._context = context

    def event(self, event: dict[str, Any]) -> bytes:
        return sse.encode(event)

    def end(self) -> bytes:
        return b""

    def error(self, error: BaseException) -> bytes:
        return sse.encode_error(error, self._context.request_id)


class _Leaving:
    """Notices that the caller has gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                return

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def _end(work: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has cleared up."""
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await work


class WholeAnswer(Response):
    """What `work` gives as one JSON object, once all of it is there; a caller that leaves stops the work."""

    def __init__(self, work: Coroutine[Any, Any, dict[str, Any]], context: RequestContext) -> None:
        self._work, self._context = work, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = _Leaving(receive)
        making = asyncio.ensure_future(self._work)
        try:
            await asyncio.wait({making, leaving.task}, return_when=asyncio.FIRST_COMPLETED)
            if not making.done():
                self._context.cut = True
                return
            message = making.result()
        finally:
            await _end(making)
            await leaving.stop()
        await json_response(message)(scope, receive, send)


class WholeMessage(WholeAnswer):
    """The message as one JSON object; `shape` makes another client's object of it."""

    def __init__(
        self, events: Events, context: RequestContext, shape: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ) -> None:
        super().__init__(_whole(events, shape), context)


async def _whole(events: Events, shape: Callable[[dict[str, Any]], dict[str, Any]] | None) -> dict[str, Any]:
    assembler = MessageAssembler()
    async with contextlib.aclosing(events):
        async for event in events:
            assembler.feed(event)
    message = assembler.message()
    return shape(message) if shape else message


class EventStream(Response):
    """The message as server-sent events, each as soon as it is there.

    What fails before the first event is a plain HTTP error. After `ping_seconds` of silence a ping goes out, also before
    the first event: many clients give up after 20 seconds without a byte.
    """

    def __init__(
        self, events: Events, context: RequestContext, ping_seconds: float, writer: Writer | None = None
    ) -> None:
        self._events, self._context, self._ping = events, context, ping_seconds
        context.stream = True
        self._writer = writer or AnthropicWriter(context)
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(AHEAD)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        making = asyncio.ensure_future(self._make())
        leaving = _Leaving(receive)
        try:
            await self._send_all(send, leaving)
        finally:
            await _end(making)
            await leaving.stop()

    async def _make(self) -> None:
        try:
            async with contextlib.aclosing(self._events) as events:
                async for event in events:
                    await self._queue.put(self._writer.event(event))
        except Exception as error:  # noqa: BLE001 - it is raised again, or rendered, where it is taken
            await self._queue.put(error)
        else:
            await self._queue.put(self._writer.end())
            await self._queue.put(None)

    async def _send_all(self, send: Send, leaving: _Leaving) -> None:
        begun = False
        while True:
            parts, end = await self._next(leaving)
            if leaving.task.done():
                self._context.cut = True
                return
            if isinstance(end, Exception):
                if not begun and not parts:
                    raise end
                self._context.error = render(end, self._context.request_id).body["error"]["type"]
                self._context.cut = True
                parts += self._writer.error(end)
            if not begun:
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                begun = True
            await send({"type": "http.response.body", "body": parts, "more_body": end is _MORE})
            if end is not _MORE:
                return

    async def _next(self, leaving: _Leaving) -> tuple[bytes, object]:
        """Take all that is ready, or a ping after silence; the second value is how it goes on."""
        if self._queue.empty():
            taking = asyncio.ensure_future(self._queue.get())
            await asyncio.wait({taking, leaving.task}, timeout=self._ping, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                await _end(taking)
                return self._writer.ping, _MORE
            item = taking.result()
        else:
            item = self._queue.get_nowait()
        parts = b""
        while isinstance(item, bytes):
            parts += item
            if self._queue.empty():
                return parts, _MORE
            item = self._queue.get_nowait()
        return parts, item


_MORE = object()
_HEADERS = [
    (b"content-type", sse.MEDIA_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
