"""Knows how to run the app as one local process under uvicorn; it must not know an endpoint."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from pinnace.core.settings import Settings, check_binding
from pinnace.core.wiring import has_keys
from pinnace.handlers.hosts.asgi import compose
from pinnace.handlers.logs import configure

#: From linux/prctl.h.
PR_SET_DUMPABLE = 4

log = logging.getLogger("pinnace.server")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, let running calls end, and return the exit status.

    Raises:
        Misconfigured: the address is public and there is no key.
    """
    check_binding(settings, has_keys=has_keys(settings))
    hide_memory()
    configure(settings.log_level, settings.log_format)
    config = uvicorn.Config(
        compose(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws="none",
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
    server = _Server(config)
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
    """uvicorn's server that ends with status 0 after a signal: it would raise the signal again and die of it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _shown(listener: socket.socket, host: str) -> str:
    return f"[{host}]" if listener.family is socket.AF_INET6 else host
