"""Knows one turn on a socket: the call that it makes, the frames that it says, how it ends; it must not know other turns.

A turn is what `POST /v1/messages` is, and goes the same way: its own request id, its key checked anew, limits, money, a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from starlette.websockets import WebSocket

from pinnace.core.errors import InvalidRequest, PinnaceError, Unauthenticated
from pinnace.core.model.access import Principal, Scope
from pinnace.core.model.run import MessageMode
from pinnace.core.usecases.call import Call, Receipt
from pinnace.core.wire.anthropic.errors import render
from pinnace.core.wire.anthropic.requests import check_messages_body
from pinnace.core.wire.anthropic.versions import FIRST
from pinnace.core.wire.stream.closing import CloseCode
from pinnace.core.wire.stream.incoming import Chat
from pinnace.core.wire.stream.outgoing import OutFrame, TurnFrames
from pinnace.handlers.authentication import recognize
from pinnace.handlers.calling import accounted, call_for, session_id
from pinnace.handlers.context import RequestContext, current
from pinnace.handlers.recording import record
from pinnace.handlers.services import Services
from pinnace.handlers.websocket.line import Gone, Line

log = logging.getLogger("pinnace.stream")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: the handshake, what is known of it, and the key."""

    websocket: WebSocket
    handshake: RequestContext
    secret: str | None


class Turn:
    """One turn; `running` says that there is something to be stopped."""

    def __init__(self, chat: Chat, caller: Caller, line: Line, services: Services) -> None:
        self._chat, self._caller, self._line, self._services = chat, caller, line, services
        self._context = _context(caller.handshake, services.clock.monotonic(), chat.id)
        self.id = chat.id or self._context.request_id
        self._frames = TurnFrames(self.id, self._context.request_id)
        self._receipt = Receipt()
        self._task: asyncio.Task[None] | None = None
        self._why: PinnaceError | None = None
        self._known = True
        self.running = False

    @property
    def over(self) -> bool:
        """Whether its last frame is said."""
        return self._task is None or self._task.done()

    async def begin(self) -> None:
        """Start it."""
        self.running = True
        self._task = asyncio.create_task(self._run())
        # A task that is cancelled before its first step never takes one, and nobody would hear how the turn ended.
        await asyncio.sleep(0)

    async def refuse(self, error: PinnaceError) -> None:
        """Say why it does not run."""
        with self._recorded():
            await self._say(self._failed(error))

    def stop(self, why: PinnaceError | None = None) -> None:
        """Stop it; without a reason its caller wanted that, or is gone."""
        if self.running and self._task is not None:
            self.running, self._why = False, why
            self._task.cancel()

    async def ended(self, seconds: float | None = None) -> None:
        """Wait until it is paid for and its last frame is said, or until so many seconds are over."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)

    async def _run(self) -> None:
        with self._recorded():
            last = await self._outcome()
            self.running = False
            await self._say(last)
            if not self._known:
                await self._line.close(CloseCode.UNAUTHENTICATED)

    async def _outcome(self) -> OutFrame:
        """Answer, and give the frame that tells how that ended; whatever it is, it is paid for by then."""
        try:
            return await self._answer()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.running or task is None:
                raise
            # It was not this task that was to end but the answer, and it has ended; what is left is to say so.
            task.uncancel()
            self._context.cut = True
            if self._why is not None:
                return self._failed(self._why)
            return self._frames.cancelled(self._receipt.outcome.usage, self._cost())
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            return self._failed(error)

    async def _answer(self) -> OutFrame:
        services, context, receipt = self._services, self._context, self._receipt
        principal = await recognize(self._caller.secret, context, services, Scope.MESSAGES)
        call = await self._call(principal)
        events = accounted(services.calls.stream(call, receipt), receipt, context, services.clock)
        async with contextlib.aclosing(events):
            async for event in events:
                for frame in self._frames.feed(event):
                    await self._say(frame)
                    context.status = 200
        return self._frames.done(self._cost(), session=call.session_id, cache=receipt.cache)

    async def _call(self, principal: Principal) -> Call:
        """The call of this turn: what its frame does not say, the handshake's headers say of all turns."""
        chat, services, websocket = self._chat, self._services, self._caller.websocket
        settings, sessions = services.settings, services.calls.sessions
        session = chat.session or session_id(websocket)
        body = chat.body_with({} if session is None else await sessions.defaults(principal.project_id, session))
        version = websocket.headers.get("anthropic-version") or FIRST
        check_messages_body(body, strict=settings.compat.strict, versioned=version, continued=session is not None)
        call = call_for(websocket, services, principal, body)
        self._context.profile = profile = chat.profile or call.profile
        mode, wait = call.mode, call.session_wait
        if chat.steps is not None:
            mode = MessageMode.FORWARD if chat.steps else MessageMode.IGNORE
        if chat.session_wait is not None:
            wait = chat.session_wait
        if wait > settings.request_timeout:
            raise InvalidRequest(f"must be 0 to {settings.request_timeout:g} seconds", path="session_wait")
        # An Idempotency-Key of the handshake would make every turn the first one.
        return replace(call, profile=profile, mode=mode, session_id=session, session_wait=wait, idempotency_key=None)

    def _failed(self, error: Exception) -> OutFrame:
        if not isinstance(error, PinnaceError):
            log.error("unexpected error", exc_info=error)
        self._known = not isinstance(error, Unauthenticated)
        context = self._context
        rendered = render(error, context.request_id)
        context.error = rendered.body["error"]["type"]
        context.cut = context.cut or context.status != 0
        context.status = context.status or rendered.status
        return self._frames.error(error)

    def _cost(self) -> int | None:
        return self._receipt.amount.microusd if self._receipt.cost_known else None

    async def _say(self, frame: OutFrame) -> None:
        context = self._context
        context.sent += await self._line.say(frame)
        if context.first_byte is None:
            context.first_byte = self._services.clock.monotonic()

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        token = current.set(self._context)
        try:
            yield
        except Gone:
            self._context.cut = True
        finally:
            record(self._context, self._services)
            current.reset(token)


def _context(handshake: RequestContext, began: float, name: str | None) -> RequestContext:
    """A turn's own context; its client's name for it is its client's request id."""
    context = RequestContext(
        handshake.method,
        handshake.path,
        began,
        prefix_profile=handshake.prefix_profile,
        route=handshake.path,
        user_agent=handshake.user_agent,
        stream=True,
    )
    context.identify(name)
    return context
