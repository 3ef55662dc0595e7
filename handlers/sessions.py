"""Knows `/v1/sessions`: parse, call one use case, render; it must not know an adapter."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pinnace.core.errors import RequestTooLarge
from pinnace.core.model.access import Scope
from pinnace.core.model.sessions import Session
from pinnace.core.wire.admin.bodies import read
from pinnace.core.wire.admin.session_bodies import Fork, NewSession, file_view, said_view, session_view
from pinnace.core.wire.admin.views import page_view
from pinnace.handlers._http import read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.projects import page_size
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response


class SessionEndpoints:
    """The endpoints of sessions; all of them see those of the caller's own project alone."""

    def __init__(self, services: Services) -> None:
        self._services, self._book = services, services.calls.sessions

    def routes(self) -> list[Route]:
        return [
            Route("/v1/sessions", self.create, methods=["POST"]),
            Route("/v1/sessions", self.list_all, methods=["GET"]),
            Route("/v1/sessions/{session_id}", self.show, methods=["GET"]),
            Route("/v1/sessions/{session_id}", self.delete, methods=["DELETE"]),
            Route("/v1/sessions/{session_id}/history", self.history, methods=["GET"]),
            Route("/v1/sessions/{session_id}/fork", self.fork, methods=["POST"]),
            Route("/v1/sessions/{session_id}/files", self.files, methods=["GET"]),
            Route("/v1/sessions/{session_id}/files/{path:path}", self.fetch, methods=["GET"]),
            Route("/v1/sessions/{session_id}/files/{path:path}", self.put, methods=["PUT"]),
        ]

    async def create(self, request: Request) -> Response:
        """Begin a session; one of this id that is there already is shown as it is."""
        principal = await authenticate(request, self._services, Scope.SESSIONS)
        asked = read(NewSession, await read_body(request, self._services.settings.max_body_bytes))
        session_id = asked.id or new_id()
        session = await self._book.begin(principal.project_id, session_id, **asked.fields())
        return json_response(session_view(session), status=201)

    async def list_all(self, request: Request) -> Response:
        """List the project's sessions, oldest first."""
        principal = await authenticate(request, self._services, Scope.SESSIONS)
        limit = page_size(request)
        found = await self._book.page(principal.project_id, limit + 1, request.query_params.get("after_id"))
        return json_response(page_view([session_view(session) for session in found], limit))

    async def show(self, request: Request) -> Response:
        """Show a session."""
        return json_response(session_view(await self._session(request)))

    async def delete(self, request: Request) -> Response:
        """Leave nothing of a session."""
        session = await self._session(request)
        await self._book.drop(session)
        return json_response({"id": session.id, "type": "session_deleted"})

    async def history(self, request: Request) -> Response:
        """Show what was said, as messages."""
        session, limit = await self._session(request), page_size(request)
        messages = [said_view(one) for one in await self._book.history(session)]
        return json_response(page_view(_after(messages, request), limit))

    async def fork(self, request: Request) -> Response:
        """Begin another session with what was said in this one."""
        session = await self._session(request)
        asked = read(Fork, await read_body(request, self._services.settings.max_body_bytes) or b"{}")
        made = await self._book.fork(session, asked.id or new_id(), asked.message_id)
        return json_response(session_view(made), status=201)

    async def files(self, request: Request) -> Response:
        """List what the session's directory holds."""
        session, limit = await self._session(request), page_size(request)
        found = [file_view(file) for file in await self._book.files(session)]
        return json_response(page_view(_after(found, request), limit))

    async def fetch(self, request: Request) -> Response:
        """Give one of the session's files."""
        session, place = await self._session(request), _scratch()
        try:
            await self._book.read_file(session, request.path_params["path"], place)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        # A tenant's bytes, which no browser is to take for a page of this server's.
        headers = {"content-disposition": "attachment", "x-content-type-options": "nosniff"}
        done = BackgroundTask(place.unlink, missing_ok=True)
        return FileResponse(place, media_type="application/octet-stream", headers=headers, background=done)

    async def put(self, request: Request) -> Response:
        """Put a file into the session's directory."""
        principal = await authenticate(request, self._services, Scope.SESSIONS)
        session = await self._book.begin(principal.project_id, request.path_params["session_id"])
        path, place = request.path_params["path"], _scratch()
        limit = self._services.settings.sessions.max_workspace_mb * 2**20
        try:
            size = await _received(request, place, limit)
            await self._book.write_file(session, path, place)
        finally:
            place.unlink(missing_ok=True)
        return json_response({"id": path, "type": "session_file", "path": path, "size_bytes": size}, status=201)

    async def _session(self, request: Request) -> Session:
        principal = await authenticate(request, self._services, Scope.SESSIONS)
        return await self._book.find(principal.project_id, request.path_params["session_id"])


def new_id() -> str:
    """An id for a session whose caller gives none."""
    return f"sess_{secrets.token_hex(12)}"


def _after(items: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """The items after the one that was seen last."""
    last = request.query_params.get("after_id")
    ids = [item["id"] for item in items]
    return items if last is None else items[ids.index(last) + 1 :] if last in ids else []


def _scratch() -> Path:
    with tempfile.NamedTemporaryFile(prefix="pinnace-", delete=False) as file:
        return Path(file.name)


async def _received(request: Request, place: Path, limit: int) -> int:
    size = 0
    with place.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise RequestTooLarge(f"The file is larger than the {limit} bytes that are kept.", limit=limit)
            await asyncio.to_thread(file.write, part)
    return size
