"""Knows who a secret belongs to, and what administrators may do with projects and keys; it must not know how a secret came."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pinnace.core.errors import NotFound, PermissionRefused, Unauthenticated
from pinnace.core.model.access import (
    DEFAULT_PROJECT,
    KEY_PREFIX,
    ORDINARY,
    AuditEntry,
    Key,
    Principal,
    Project,
    Scope,
    digest_of,
    new_secret,
)
from pinnace.core.ports import Clock, Directory

#: Seconds between two notes of a key's last use.
TOUCH = 60.0
#: Who acted, where it was the key of the configuration.
CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Access:
    """Keys and what they open.

    `api_key` and `admin_key` are those of the configuration, or None; `project` is whose calls the first one makes.
    """

    directory: Directory
    clock: Clock
    api_key: str | None = None
    admin_key: str | None = None
    project: str = DEFAULT_PROJECT

    async def authenticate(self, secret: str | None) -> Principal:
        """Find out who calls.

        A server without any key takes any caller, and gives it no right to administrate; it listens on loopback alone.

        Raises:
            Unauthenticated: there is no key, or it is not good.
        """
        if secret:
            given = digest_of(secret)
            if self.admin_key is not None and hmac.compare_digest(given, digest_of(self.admin_key)):
                return Principal(await self._own_project(), frozenset([Scope.ADMIN]))
            if self.api_key is not None and hmac.compare_digest(given, digest_of(self.api_key)):
                return Principal(_serving(await self._own_project()), ORDINARY)
            if secret.startswith(KEY_PREFIX):
                return await self._holder(given)
        if not await self.is_open():
            if secret:
                raise Unauthenticated("The API key is not valid.")
            raise Unauthenticated("No API key was given: send it as x-api-key or as Authorization: Bearer.")
        return Principal(_serving(await self._own_project()), ORDINARY, is_anyone=True)

    async def principal_of(self, project_id: str, key_id: str | None) -> Principal:
        """Who asked for something that is done later, by a key or without one.

        Raises:
            Unauthenticated: the key, or the project, is good for nothing any more.
        """
        project = await self.directory.project(project_id)
        if project is None:
            raise Unauthenticated("The project is not there any more.")
        if key_id is None:
            return Principal(_serving(project), ORDINARY)
        key = await self.directory.key(project_id, key_id)
        if key is None or not key.serves(self.clock.now()):
            raise Unauthenticated("The API key that asked for this was revoked or has expired.")
        return Principal(_serving(project), key.scopes, key)

    async def is_open(self) -> bool:
        """Whether there is no key at all."""
        return self.api_key is None and self.admin_key is None and not await self.directory.has_keys()

    async def create_project(self, actor: Principal, fields: Mapping[str, Any]) -> Project:
        """Make a project; `fields` are those of `Project`."""
        project = Project(id=f"prj_{secrets.token_hex(10)}", created_at=self.clock.now(), **fields)
        await self.directory.add_project(project)
        await self._note(actor, "project.create", project.id, project.id, {"name": project.name})
        return project

    async def project_of(self, actor: Principal, project_id: str) -> Project:
        """Give a project that the actor may see.

        Raises:
            NotFound: there is none, or it is another's.
        """
        found = None
        if actor.is_admin or project_id == actor.project_id:
            found = await self.directory.project(project_id)
        if found is None:
            raise NotFound(f"There is no project {project_id!r}.")
        return found

    async def change_project(self, actor: Principal, project_id: str, fields: Mapping[str, Any]) -> Project:
        """Replace fields of a project; a budget is replaced as a whole."""
        changed = replace(await self.project_of(actor, project_id), **fields)
        await self.directory.change_project(changed)
        await self._note(actor, "project.change", project_id, project_id, {"fields": sorted(fields)})
        return changed

    async def archive_project(self, actor: Principal, project_id: str) -> Project:
        """End a project: its keys are good for nothing from now on, its usage stays."""
        project = await self.project_of(actor, project_id)
        if project.archived_at is not None:
            return project
        archived = replace(project, archived_at=self.clock.now())
        await self.directory.change_project(archived)
        await self._note(actor, "project.archive", project_id, project_id, {})
        return archived

    async def create_key(self, actor: Principal, project_id: str, fields: Mapping[str, Any]) -> tuple[Key, str]:
        """Make a key; the second value is its secret, which is never to be had again."""
        project = await self.project_of(actor, project_id)
        if project.archived_at is not None:
            raise PermissionRefused(f"The project {project_id!r} is archived.")
        secret = new_secret()
        key = Key(
            id=f"key_{secrets.token_hex(10)}",
            project_id=project_id,
            digest=digest_of(secret),
            hint=secret[-4:],
            created_at=self.clock.now(),
            **fields,
        )
        await self.directory.add_key(key)
        shown = {"name": key.name, "scopes": sorted(key.scopes)}
        await self._note(actor, "key.create", key.id, project_id, shown)
        return key, secret

    async def key_of(self, actor: Principal, project_id: str, key_id: str) -> Key:
        """Give a key that the actor may see.

        Raises:
            NotFound: there is none, or it is another's.
        """
        found = None
        if actor.is_admin or project_id == actor.project_id:
            found = await self.directory.key(project_id, key_id)
        if found is None:
            raise NotFound(f"There is no key {key_id!r}.")
        return found

    async def change_key(self, actor: Principal, key: Key, fields: Mapping[str, Any]) -> Key:
        """Replace fields of a key."""
        await self.directory.change_key(replace(key, **fields))
        await self._note(actor, "key.change", key.id, key.project_id, {"fields": sorted(fields)})
        return await self.key_of(actor, key.project_id, key.id)

    async def revoke_key(self, actor: Principal, key: Key) -> Key:
        """Make a key good for nothing, for ever."""
        if key.revoked_at is not None:
            return key
        await self.directory.change_key(replace(key, revoked_at=self.clock.now()))
        await self._note(actor, "key.revoke", key.id, key.project_id, {})
        return await self.key_of(actor, key.project_id, key.id)

    async def _holder(self, digest: str) -> Principal:
        key = await self.directory.find_key(digest)
        now = self.clock.now()
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise Unauthenticated("The API key is not valid.")
        if not key.serves(now):
            raise Unauthenticated(
                f"The API key was {'revoked' if key.revoked_at else 'good until a while ago: it expired'}."
            )
        project = await self.directory.project(key.project_id)
        if project is None:
            raise Unauthenticated("The API key is not valid.")
        _serving(project)
        if key.last_used_at is None or now - key.last_used_at > TOUCH:
            await self.directory.touch_key(key.project_id, key.id, now)
        return Principal(project, key.scopes, key)

    async def _own_project(self) -> Project:
        found = await self.directory.project(self.project)
        if found is None:
            found = Project(self.project, self.project, created_at=self.clock.now())
            await self.directory.add_project(found)
        return found

    async def _note(
        self, actor: Principal, action: str, target: str, project_id: str, details: Mapping[str, object]
    ) -> None:
        who = actor.key_id or CONFIGURATION
        await self.directory.record(AuditEntry(self.clock.now(), who, action, target, project_id, dict(details)))


def _serving(project: Project) -> Project:
    if project.archived_at is not None:
        raise Unauthenticated("The API key's project is archived.")
    return project
