"""Knows what is said on one socket: who it is, then frame after frame, one turn at a time; it must not know how a turn runs.

It hears all the time, also while a turn runs, so that a `cancel`, a ping and a client that goes are noticed at once.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.websockets import WebSocket

from pinnace.core.errors import (
    Conflicted,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionRefused,
    PinnaceError,
    RunCancelled,
    Unauthenticated,
)
from pinnace.core.wire.anthropic.errors import render
from pinnace.core.wire.stream.closing import CloseCode
from pinnace.core.wire.stream.incoming import Auth, Cancel, Chat, Ping, id_of, read, understand
from pinnace.core.wire.stream.origins import is_admitted
from pinnace.core.wire.stream.outgoing import PONG, error_frame
from pinnace.handlers._http import context_of
from pinnace.handlers.authentication import key_of, recognize
from pinnace.handlers.context import RequestContext
from pinnace.handlers.recording import record
from pinnace.handlers.services import Services
from pinnace.handlers.websocket.line import Gone, Line
from pinnace.handlers.websocket.open_sockets import OpenSockets
from pinnace.handlers.websocket.turn import Caller, Turn

log = logging.getLogger("pinnace.stream")

#: Seconds within which a client says its key.
PATIENCE = 10.0
#: Frames in a row that mean nothing; who sends so many does not speak this protocol.
BAD_FRAMES = 20


class Refused(Exception):
    """The socket is closed before anything is talked about."""

    def __init__(self, error: PinnaceError, code: CloseCode) -> None:
        super().__init__(str(error))
        self.error, self.code = error, code


class Talk:
    """One socket, from its acceptance to its close; `patience` is how many seconds a key is waited for."""

    def __init__(
        self, websocket: WebSocket, services: Services, sockets: OpenSockets, patience: float = PATIENCE
    ) -> None:
        self._websocket, self._services, self._sockets = websocket, services, sockets
        self._patience = patience
        self._line = Line(websocket)
        self._context = context_of(websocket)
        self._context.route = self._context.path
        self._secret = key_of(websocket)
        # A key may come in the first frame, where none came in the handshake.
        self._keyless = self._secret is None
        self._turn: Turn | None = None
        self._bad = 0

    async def hold(self) -> None:
        """Talk until one of both goes; no turn is left running."""
        await self._websocket.accept()
        try:
            if self._sockets.leaving:
                await self._line.close(CloseCode.GOING_AWAY)
            else:
                await self._introduce()
                await self._listen()
        except Refused as refused:
            await self._refuse(refused)
        except Gone:
            pass
        except Exception:
            log.exception("unexpected error")
            await self._line.close(CloseCode.BROKEN)
        finally:
            if self._turn is not None:
                self._turn.stop()
                await self._turn.ended()

    async def leave(self, seconds: float) -> None:
        """The server shuts down: let a running turn end, within so many seconds, and close."""
        if self._turn is not None:
            await self._turn.ended(seconds)
            self._turn.stop(RunCancelled("The server is shutting down, and this turn took too long."))
            await self._turn.ended()
        await self._line.close(CloseCode.GOING_AWAY)

    async def _introduce(self) -> None:
        """Find out who this is."""
        headers, services = self._websocket.headers, self._services
        if not is_admitted(headers.get("origin"), headers.get("host"), services.settings.cors_origins):
            error = PermissionRefused("Pages of this origin may not connect; cors_origins lists those that may.")
            raise Refused(error, CloseCode.FOREIGN_ORIGIN)
        try:
            if self._keyless and not await services.access.is_open():
                self._secret = await self._first_key()
            await recognize(self._secret, self._context, services)
        except Unauthenticated as error:
            raise Refused(error, CloseCode.UNAUTHENTICATED) from error
        except PinnaceError as error:
            raise Refused(error, CloseCode.BROKEN) from error

    async def _first_key(self) -> str:
        try:
            async with asyncio.timeout(self._patience):
                message = await self._line.hear()
        except TimeoutError as late:
            error = Unauthenticated(f"No key came within {self._patience:g} seconds.")
            raise Refused(error, CloseCode.NO_KEY_IN_TIME) from late
        if message is None:
            raise Gone
        self._keyless = False
        try:
            frame = understand(read(message))
        except InvalidRequest:
            frame = None
        if not isinstance(frame, Auth):
            raise Unauthenticated(
                "No API key was given: send it as x-api-key or as Authorization: Bearer with the handshake, or first of all "
                'as {"type": "auth", "key": "..."}.'
            )
        return frame.key

    async def _listen(self) -> None:
        while (message := await self._line.hear()) is not None:
            await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        raw: dict[str, object] = {}
        try:
            raw = read(message)
            frame = understand(raw)
            first, self._keyless = self._keyless, False
            if isinstance(frame, Auth):
                if not first:
                    raise InvalidRequest(
                        "a key comes once, before anything else, and only where no header had one", path="type"
                    )
                self._secret = frame.key
        except InvalidRequest as error:
            await self._misheard(error, id_of(raw))
            return
        self._bad = 0
        if isinstance(frame, Ping):
            await self._line.say(PONG)
        elif isinstance(frame, Cancel):
            await self._cancel(frame)
        elif isinstance(frame, Chat):
            await self._chat(frame)

    async def _chat(self, chat: Chat) -> None:
        caller = Caller(self._websocket, self._context, self._secret)
        turn = Turn(chat, caller, self._line, self._services)
        if self._sockets.leaving:
            await turn.refuse(Overloaded("The server is shutting down; try again elsewhere.", retry_after=1))
        elif self._turn is not None and not self._turn.over:
            await turn.refuse(Conflicted("Another turn is running on this socket; wait for its end, or cancel it."))
        else:
            self._turn = turn
            await turn.begin()

    async def _cancel(self, cancel: Cancel) -> None:
        turn = self._turn
        if turn is not None and turn.running and cancel.id in (None, turn.id):
            turn.stop()
        else:
            error = NotFound("There is no such turn running on this socket.")
            await self._line.say(error_frame(error, self._context.request_id, cancel.id))

    async def _misheard(self, error: InvalidRequest, turn_id: str | None) -> None:
        self._bad += 1
        await self._line.say(error_frame(error, self._context.request_id, turn_id))
        if self._bad >= BAD_FRAMES:
            await self._line.close(CloseCode.BAD_FRAMES)

    async def _refuse(self, refused: Refused) -> None:
        context: RequestContext = self._context
        rendered = render(refused.error, context.request_id)
        context.status, context.error = rendered.status, rendered.body["error"]["type"]
        record(context, self._services)
        try:
            await self._line.say(rendered.body)
        except Gone:
            return
        await self._line.close(refused.code)
