"""Knows every handler and composes them into one ASGI app; it is the only file that does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version as installed_version

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp

from pinnace.core.settings import Settings
from pinnace.core.wiring import Ports, wire
from pinnace.handlers._http import Border
from pinnace.handlers.messages import Messages
from pinnace.handlers.metrics import make_metrics
from pinnace.handlers.models import Models
from pinnace.handlers.services import Services
from pinnace.handlers.system import System


def compose(settings: Settings, ports: Ports | None = None) -> ASGIApp:
    """Make the app. Nothing is started: the pool starts with the lifespan, or with the first call where there is none."""
    given = ports or wire(settings)
    services = Services(
        settings, given.runner, given.counter, given.clock, make_metrics(), installed_version("pinnace")
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        await given.runner.prepare()
        try:
            yield
        finally:
            await given.runner.aclose(settings.drain_seconds)

    handlers = (Messages(services), Models(services), System(services))
    router = Router(
        [route for handler in handlers for route in handler.routes()], redirect_slashes=False, lifespan=lifespan
    )
    inner: ASGIApp = router
    if settings.cors_origins:
        inner = CORSMiddleware(router, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"])
    return Border(inner, services)
