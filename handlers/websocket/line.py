"""Knows how frames go over one WebSocket, and that its client may be gone; it must not know what a frame means.

There is no queue on the way out: whoever says something waits until the socket takes it, and with it the run whose words they
are. So a client that reads slowly holds its run up and fills no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from pinnace.core.wire.stream.closing import CloseCode

_OVER = (WebSocketDisconnect, WebSocketDisconnected)


class Gone(Exception):
    """Nobody is there any more to hear it."""


class Line:
    """One WebSocket; several tasks may say something at once, one hears."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._saying = asyncio.Lock()
        self._closed = False

    async def hear(self) -> str | bytes | None:
        """The next message, or None where there will be no more."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return bytes(message["bytes"]) if text is None else text

    async def say(self, frame: Mapping[str, Any]) -> int:
        """Send a frame, as soon as the socket takes it, and give its bytes.

        Raises:
            Gone: the client is not there any more.
        """
        data = orjson.dumps(frame)
        async with self._saying:
            if self._closed:
                raise Gone
            try:
                await self._websocket.send_text(data.decode())
            except _OVER as error:
                self._closed = True
                raise Gone from error
        return len(data)

    async def close(self, code: CloseCode) -> None:
        """Say goodbye; `hear` then gives None."""
        async with self._saying:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(*_OVER):
                    await self._websocket.close(code, code.reason)
