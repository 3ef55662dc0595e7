"""Knows every handler and composes them into one ASGI app; it is the only file that does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version as installed_version
from typing import Any

from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Router as Paths
from starlette.types import ASGIApp

from pinnace.core.model.files import FileRules
from pinnace.core.model.routing import Thresholds
from pinnace.core.settings import Settings
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batch_drops import BatchDrops
from pinnace.core.usecases.batch_work import BatchWorker
from pinnace.core.usecases.batch_workers import BatchWorkers
from pinnace.core.usecases.batching import BatchBook
from pinnace.core.usecases.billing import Billing
from pinnace.core.usecases.calls import Calls
from pinnace.core.usecases.filing import FileBook
from pinnace.core.usecases.replay import Replay
from pinnace.core.usecases.routing import Router
from pinnace.core.usecases.sessions import SessionBook
from pinnace.core.usecases.sweeping import sweep_forever
from pinnace.core.wire.anthropic.requests import check_messages_body
from pinnace.core.wiring import Ports, wire
from pinnace.handlers._http import Border
from pinnace.handlers.batch import Batches
from pinnace.handlers.batches import MessageBatches
from pinnace.handlers.cache import Cache
from pinnace.handlers.chat import Chat
from pinnace.handlers.files import FileEndpoints
from pinnace.handlers.log_stats import LogStats
from pinnace.handlers.messages import Messages
from pinnace.handlers.metrics import make_metrics
from pinnace.handlers.models import Models
from pinnace.handlers.projects import Projects
from pinnace.handlers.routing import Routing
from pinnace.handlers.services import Services
from pinnace.handlers.sessions import SessionEndpoints
from pinnace.handlers.stream import Stream
from pinnace.handlers.system import System
from pinnace.handlers.usage import Usage
from pinnace.handlers.websocket.open_sockets import OpenSockets

#: Seconds that alerts on their way may take when the server stops.
FAREWELL = 5.0


def compose(settings: Settings, ports: Ports | None = None, sockets: OpenSockets | None = None) -> ASGIApp:
    """Make the app. Nothing is started: the pool starts with the lifespan, or with the first call where there is none.

    By `sockets` a host asks the open WebSockets to end.
    """
    given = ports or wire(settings)
    services = make_services(settings, given)
    workers = make_workers(services)
    services.batches.watchers.append(workers.wake)

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        # The list of prices takes 200 ms to load, which the first call would wait for, and every other call with it.
        await asyncio.to_thread(given.prices.context_window, "claude")
        await given.runner.prepare()
        calls = services.calls
        sweeping = asyncio.create_task(
            sweep_forever(
                calls.billing,
                given.directory,
                calls.sessions.sweep,
                calls.files.sweep,
                services.batches.sweep,
                # In a bucket nobody looks again and again: S3 says that something came.
                *([] if settings.store == "dynamodb" else [BatchDrops(services.batches, services.access).look]),
            )
        )
        workers.start()
        try:
            yield
        finally:
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping
            await workers.aclose(settings.drain_seconds)
            await given.runner.aclose(settings.drain_seconds)
            await given.alerts.aclose(FAREWELL)
            await given.access_log.aclose()
            await given.close()

    handlers = (
        Messages(services),
        Chat(services),
        Stream(services, sockets or OpenSockets()),
        SessionEndpoints(services),
        Batches(services),
        MessageBatches(services),
        FileEndpoints(services),
        Models(services),
        Projects(services),
        Usage(services),
        LogStats(services),
        Cache(services),
        Routing(services),
        System(services),
    )
    paths = Paths(
        [route for handler in handlers for route in handler.routes()], redirect_slashes=False, lifespan=lifespan
    )
    inner: ASGIApp = paths
    if settings.cors_origins:
        inner = CORSMiddleware(paths, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"])
    return Border(inner, services)


def make_services(settings: Settings, ports: Ports) -> Services:
    """Put the use cases together over the ports."""
    metrics = make_metrics()
    billing = Billing(
        ports.ledger,
        ports.prices,
        ports.clock,
        unpriced=settings.prices.allow_unpriced,
        listeners=(metrics.alert, ports.alerts.send),
    )
    router = Router(ports.runner, billing, Thresholds(**settings.routing.model_dump()))
    kept = ports.sessions
    sessions = SessionBook(
        kept.sessions, kept.transcripts, kept.workspaces, ports.runner, ports.clock, settings.sessions.ttl_seconds
    )
    stored = ports.batches
    return Services(
        settings=settings,
        runner=ports.runner,
        counter=ports.counter,
        clock=ports.clock,
        metrics=metrics,
        access_log=ports.access_log,
        version=installed_version("pinnace"),
        access=Access(
            ports.directory,
            ports.clock,
            api_key=_revealed(settings.api_key),
            admin_key=_revealed(settings.admin_key),
            project=settings.project,
        ),
        calls=Calls(
            runner=ports.runner,
            limiter=ports.limiter,
            usage=ports.usage,
            billing=billing,
            router=router,
            replay=Replay(ports.answers, ports.clock, settings.cache.ttl_seconds),
            sessions=sessions,
            files=make_files(settings, ports),
            clock=ports.clock,
        ),
        batches=BatchBook(stored.batches, stored.queue, stored.blobs, ports.clock, settings.batches.max_requests),
    )


def make_files(settings: Settings, ports: Ports) -> FileBook:
    """All files, over their stores."""
    given, kept = settings.files, ports.files
    rules = FileRules(
        max_bytes=given.max_bytes,
        quota=given.quota_mb * 2**20,
        max_attached=settings.max_body_bytes,
        ttl=given.ttl_seconds,
        max_brought=settings.sessions.max_workspace_mb * 2**20,
    )
    return FileBook(kept.files, kept.blobs, ports.clock, kept.arriving, rules, kept.direct)


def make_workers(services: Services) -> BatchWorkers:
    """Those who run the items of batches in this process."""
    settings, book = services.settings, services.batches

    def check(body: dict[str, Any], version: str) -> dict[str, Any]:
        return dict(check_messages_body(body, strict=settings.compat.strict, versioned=version).body)

    worker = BatchWorker(
        book,
        services.calls,
        services.access,
        services.clock,
        check,
        seconds=settings.request_timeout,
        first_wait=settings.batches.retry_seconds,
    )
    return BatchWorkers(worker, book.queue, services.clock, settings.batches.concurrency)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
