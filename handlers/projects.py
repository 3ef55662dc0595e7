"""Knows `/v1/projects`, `/v1/keys` and `/v1/audit`: parse, call one use case, render; it must not know an adapter."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinnace.core.errors import InvalidRequest, NotFound
from pinnace.core.model.access import Key, Principal, Project, Scope
from pinnace.core.model.ledger import caps_of
from pinnace.core.wire.admin.bodies import KeyChange, NewKey, NewProject, ProjectChange, read
from pinnace.core.wire.admin.views import audit_view, key_view, page_view, project_view, spending_view
from pinnace.handlers._http import read_body
from pinnace.handlers.authentication import authenticate
from pinnace.handlers.services import Services
from pinnace.handlers.whole import json_response

#: Bytes; the largest project has a hundred names of models.
LARGEST_BODY = 262_144
LARGEST_PAGE = 1000


class Projects:
    """The endpoints of administration."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = services.access

    def routes(self) -> list[Route]:
        return [
            Route("/v1/projects", self.list_projects, methods=["GET"]),
            Route("/v1/projects", self.create_project, methods=["POST"]),
            Route("/v1/projects/{project_id}", self.show_project, methods=["GET"]),
            Route("/v1/projects/{project_id}", self.change_project, methods=["PATCH", "POST"]),
            Route("/v1/projects/{project_id}", self.archive_project, methods=["DELETE"]),
            Route("/v1/keys", self.list_keys, methods=["GET"]),
            Route("/v1/keys", self.create_key, methods=["POST"]),
            Route("/v1/keys/{key_id}", self.show_key, methods=["GET"]),
            Route("/v1/keys/{key_id}", self.change_key, methods=["PATCH", "POST"]),
            Route("/v1/keys/{key_id}", self.revoke_key, methods=["DELETE"]),
            Route("/v1/audit", self.audit, methods=["GET"]),
        ]

    async def create_project(self, request: Request) -> Response:
        """Make a project."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        asked = read(NewProject, await read_body(request, LARGEST_BODY))
        return json_response(await self._shown(await self._access.create_project(actor, asked.fields())), status=201)

    async def list_projects(self, request: Request) -> Response:
        """List the projects, oldest first."""
        await authenticate(request, self._services, Scope.ADMIN)
        limit = page_size(request)
        found = await self._access.directory.projects(limit + 1, request.query_params.get("after_id"))
        return json_response(page_view([project_view(project) for project in found], limit))

    async def show_project(self, request: Request) -> Response:
        """Show a project with what it spent; a key sees its own."""
        actor = await authenticate(request, self._services, Scope.USAGE)
        return json_response(await self._shown(await self._access.project_of(actor, request.path_params["project_id"])))

    async def change_project(self, request: Request) -> Response:
        """Change what is given of a project."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        asked = read(ProjectChange, await read_body(request, LARGEST_BODY))
        project_id = request.path_params["project_id"]
        return json_response(await self._shown(await self._access.change_project(actor, project_id, asked.fields())))

    async def archive_project(self, request: Request) -> Response:
        """End a project."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        project = await self._access.archive_project(actor, request.path_params["project_id"])
        return json_response(await self._shown(project))

    async def create_key(self, request: Request) -> Response:
        """Make a key, and show its secret this once."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        asked = read(NewKey, await read_body(request, LARGEST_BODY))
        key, secret = await self._access.create_key(actor, asked.project_id, asked.fields())
        return json_response(key_view(key, secret), status=201)

    async def list_keys(self, request: Request) -> Response:
        """List the keys of a project, oldest first."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        project_id = request.query_params.get("project_id")
        if project_id is None:
            raise InvalidRequest("Field required: keys are listed by project", path="project_id")
        await self._access.project_of(actor, project_id)
        limit = page_size(request)
        found = await self._access.directory.keys(project_id, limit + 1, request.query_params.get("after_id"))
        return json_response(page_view([key_view(key) for key in found], limit))

    async def show_key(self, request: Request) -> Response:
        """Show a key, without its secret."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        return json_response(await self._key_shown(await self._key(request, actor)))

    async def change_key(self, request: Request) -> Response:
        """Change what is given of a key."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        asked = read(KeyChange, await read_body(request, LARGEST_BODY))
        key = await self._access.change_key(actor, await self._key(request, actor), asked.fields())
        return json_response(await self._key_shown(key))

    async def revoke_key(self, request: Request) -> Response:
        """Make a key good for nothing, for ever."""
        actor = await authenticate(request, self._services, Scope.ADMIN)
        return json_response(key_view(await self._access.revoke_key(actor, await self._key(request, actor))))

    async def audit(self, request: Request) -> Response:
        """List what administrators did, the latest first."""
        await authenticate(request, self._services, Scope.ADMIN)
        limit = page_size(request)
        found = await self._access.directory.audit(request.query_params.get("project_id"), limit)
        return json_response({"data": [audit_view(entry) for entry in found]})

    async def _key(self, request: Request, actor: Principal) -> Key:
        """Administrators know a key by its id alone; it is looked for in its project."""
        key_id = request.path_params["key_id"]
        found = await self._access.directory.any_key(key_id)
        if found is None:
            raise NotFound(f"There is no key {key_id!r}.")
        return await self._access.key_of(actor, found.project_id, key_id)

    async def _shown(self, project: Project) -> dict[str, object]:
        caps = caps_of(f"project:{project.id}", project.budget, self._services.clock.now())
        balances = await self._services.calls.billing.ledger.balances([cap.account for cap in caps])
        return project_view(project) | spending_view(caps, balances)

    async def _key_shown(self, key: Key) -> dict[str, object]:
        caps = caps_of(f"key:{key.id}", key.budget, self._services.clock.now())
        balances = await self._services.calls.billing.ledger.balances([cap.account for cap in caps])
        return key_view(key) | spending_view(caps, balances)


def page_size(request: Request) -> int:
    """How many items of a list are asked for.

    Raises:
        InvalidRequest: it is no number, or too large.
    """
    given = request.query_params.get("limit", "20")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:6]) <= LARGEST_PAGE:
        raise InvalidRequest("must be an integer from 1 to 1000", path="limit")
    return int(given)
