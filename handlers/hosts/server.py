"""Knows how to run the app as one local process under uvicorn; it must not know an endpoint."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from pinnace.core.settings import Settings, check_binding
from pinnace.core.wiring import has_keys
from pinnace.handlers.hosts.asgi import compose
from pinnace.handlers.logs import configure
from pinnace.handlers.websocket.open_sockets import OpenSockets

#: From linux/prctl.h.
PR_SET_DUMPABLE = 4

#: Seconds that a client's answer to the last word of all is waited for.
FAREWELL = 1.0

log = logging.getLogger("pinnace.server")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, let running calls end, and return the exit status.

    Raises:
        Misconfigured: the address is public and there is no key.
    """
    check_binding(settings, has_keys=has_keys(settings))
    hide_memory()
    configure(settings.log_level, settings.log_format)
    sockets = OpenSockets()
    config = uvicorn.Config(
        compose(settings, sockets=sockets),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws=_Socket,
        ws_max_size=settings.max_body_bytes,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        # A token's frame of 70 bytes needs no compression, and how well it compresses tells a listener of what it repeats.
        ws_per_message_deflate=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_seconds) + 5,
    )
    try:
        listener = config.bind_socket()
    except SystemExit:
        log.error("the address cannot be bound", extra={"host": settings.host, "port": settings.port})
        return 1
    host, port = listener.getsockname()[:2]
    log.info("serving", extra={"url": f"http://{_shown(listener, host)}:{port}"})
    server = _Server(config, sockets, settings.drain_seconds)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def hide_memory() -> None:
    """Make this process's `/proc` entries unreadable to other processes of its user: an agent's tools are such processes.

    `prctl(PR_SET_DUMPABLE, 0)`, prctl(2); Linux alone, and no help against root.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - here alone

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


class _Server(uvicorn.Server):
    """uvicorn's server that asks sockets to end, and that ends with status 0 after a signal: it would die of it once more."""

    def __init__(self, config: uvicorn.Config, sockets: OpenSockets, drain_seconds: float) -> None:
        super().__init__(config)
        self._sockets, self._drain_seconds = sockets, drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sockets.leave(self._drain_seconds)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Socket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket that leaves its end to the app, and that drops a client which answers no ping."""

    def shutdown(self) -> None:
        """Leave a running turn alone, which uvicorn would cut in the middle, with 1012."""
        if self.close_sent:
            super().shutdown()
        self.close_timeout = FAREWELL

    def keepalive_timeout(self) -> None:
        """Drop what lies here for the client; uvicorn would wait until it has been read, without an end, and the run with it."""
        super().keepalive_timeout()
        self.transport.abort()


def _shown(listener: socket.socket, host: str) -> str:
    return f"[{host}]" if listener.family is socket.AF_INET6 else host
