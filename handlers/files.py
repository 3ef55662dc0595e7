"""Knows `/v1/files`: parse, call one use case, render; it must not know an adapter."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import InvalidRequest, RequestTooLarge
from pinnace.core.model.access import Scope
from pinnace.core.model.files import StoredFile
from pinnace.core.usecases.arrivals import too_large
from pinnace.core.usecases.filing import ID, OFFERED, FileBook
from pinnace.core.usecases.offering import finish, offer
from pinnace.core.wire.admin.bodies import read
from pinnace.core.wire.admin.file_bodies import (
    NewUpload,
    file_view,
    files_page,
    old_page,
    read_ids,
    read_page,
    upload_view,
)
from pinnace.core.wire.admin.filenames import base_name, check_name, disposition
from pinnace.handlers._http import read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.calling import betas
from pinnace.handlers.parts import file_response
from pinnace.handlers.projects import page_size
from pinnace.handlers.receiving import AROUND, Upload
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response

#: The beta in which lists were pages by id.
OLD_LISTS = "files-api-2025-04-14"
#: Bytes of a request for a form.
LARGEST_BODY = 16_384


class FileEndpoints:
    """The endpoints of files; all of them see those of the caller's own project alone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def _book(self) -> FileBook:
        return self._services.calls.files

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self.create, methods=["POST"]),
            Route("/v1/files", self.list_all, methods=["GET"]),
            Route("/v1/files/uploads", self.offer, methods=["POST"]),
            Route("/v1/files/uploads/{file_id}/complete", self.complete, methods=["POST"]),
            Route("/v1/files/{file_id}", self.show, methods=["GET"]),
            Route("/v1/files/{file_id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{file_id}/content", self.content, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Keep a file."""
        project_id = await self._project(request)
        size = self._announced(request)
        async with self._book.receiving(project_id, max(0, size - AROUND)) as arrival:
            upload = Upload(arrival)
            await upload.read(request)
            file = await self._book.add(project_id, arrival, upload.filename, upload.content_type, upload.ttl)
        return json_response(file_view(file))

    async def list_all(self, request: Request) -> Response:
        """List the project's files, newest first."""
        project_id = await self._project(request)
        asked = request.query_params
        old = OLD_LISTS in betas(request)
        ids = read_ids([*asked.getlist("ids[]"), *asked.getlist("ids")])
        if ids:
            if "limit" in asked or "page" in asked:
                raise InvalidRequest("cannot be given together with limit or page", path="ids")
            some = await self._book.some(project_id, ids)
            return json_response(old_page(some, len(some)) if old else files_page(some, len(some)))
        limit = page_size(request)
        # Files of a session of somebody else's service; there are none here.
        if asked.get("scope_id"):
            return json_response(old_page([], limit) if old else files_page([], limit))
        if not old:
            found = await self._book.list(project_id, limit + 1, read_page(asked.get("page")))
            return json_response(files_page(found, limit))
        after, before = (_edge(request, name) for name in ("after_id", "before_id"))
        if after is not None and before is not None:
            raise InvalidRequest("cannot be given together with after_id", path="before_id")
        found = await self._book.list(project_id, limit + 1, after, before)
        return json_response(old_page(found, limit, backwards=before is not None))

    async def offer(self, request: Request) -> Response:
        """Say how the client sends a file straight to where it is kept."""
        project_id = await self._project(request)
        asked = read(NewUpload, await read_body(request, LARGEST_BODY))
        name = check_name(base_name(asked.filename))
        upload, form = await offer(
            self._book, project_id, name, asked.size_bytes, asked.mime_type, asked.expires_in_seconds
        )
        return json_response(upload_view(upload, form, upload.created_at + OFFERED))

    async def complete(self, request: Request) -> Response:
        """Make a file of what the client has sent."""
        project_id = await self._project(request)
        return json_response(file_view(await finish(self._book, project_id, request.path_params["file_id"])))

    async def show(self, request: Request) -> Response:
        """Show a file."""
        return json_response(file_view(await self._file(request)))

    async def delete(self, request: Request) -> Response:
        """Leave nothing of a file."""
        project_id, file_id = await self._project(request), request.path_params["file_id"]
        await self._book.drop(project_id, file_id)
        return json_response({"id": file_id, "type": "file_deleted"})

    async def content(self, request: Request) -> Response:
        """Give a file's bytes, or the part of them that is asked for."""
        file = await self._file(request)
        headers = {
            "cache-control": "private, no-cache",
            "content-disposition": disposition(file.filename),
            # A tenant's bytes, which no browser is to take for a page of this server's.
            "content-security-policy": "sandbox; default-src 'none'",
            "content-type": file.mime_type,
            "x-content-type-options": "nosniff",
        }
        etag = f'"{file.sha256}"'
        return await file_response(
            request, file.size, etag, headers, lambda start, length: self._book.read(file, start, length)
        )

    async def _project(self, request: Request) -> str:
        return (await authenticate(request, self._services, Scope.FILES)).project_id

    async def _file(self, request: Request) -> StoredFile:
        return await self._book.show(await self._project(request), request.path_params["file_id"])

    def _announced(self, request: Request) -> int:
        """The bytes of the request, as far as it says them.

        Raises:
            RequestTooLarge: they are more than a file may have, or than the host lets through.
        """
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isdigit() else 0
        small, largest = self._services.settings.files.max_request_mb, self._book.rules.max_bytes
        if size > largest + AROUND:
            raise too_large(largest)
        if small is not None and size > small * 2**20:
            raise RequestTooLarge(
                f"A request to this server may have {small} MiB. Ask POST /v1/files/uploads where to send a larger file.",
                limit=small * 2**20,
            )
        return size


def _edge(request: Request, name: str) -> str | None:
    given = request.query_params.get(name)
    if given is not None and not ID.fullmatch(given):
        raise InvalidRequest("must be the id of a file", path=name)
    return given
