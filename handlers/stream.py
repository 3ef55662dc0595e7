"""Knows `WS /v1/stream`: several turns on one socket; it must not know what is said on one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from pinnace.core.errors import InvalidRequest
from pinnace.handlers.services import Services
from pinnace.handlers.websocket.open_sockets import OpenSockets
from pinnace.handlers.websocket.talk import PATIENCE, Talk

PATH = "/v1/stream"


class Stream:
    """The endpoint of WebSockets."""

    def __init__(self, services: Services, sockets: OpenSockets, patience: float = PATIENCE) -> None:
        self._services, self._sockets, self._patience = services, sockets, patience

    def routes(self) -> list[BaseRoute]:
        return [WebSocketRoute(PATH, self.open), Route(PATH, self.explain, methods=["GET"])]

    async def open(self, websocket: WebSocket) -> None:
        """Serve a socket until it is closed."""
        talk = Talk(websocket, self._services, self._sockets, self._patience)
        with self._sockets.holding(talk):
            await talk.hold()

    async def explain(self, _request: Request) -> Response:
        """Tell a client that asks over plain HTTP."""
        raise InvalidRequest("This path is a WebSocket's: connect to it with ws:// or wss://.")
