"""Knows how projects and keys are kept in memory; see `pinnace.core.ports.Directory` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from pinnace.core.model.access import AuditEntry, Key, Project

T = TypeVar("T", Project, Key)


class MemoryDirectory:
    """`Directory` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._projects: dict[str, Project] = {}
        self._keys: dict[str, Key] = {}
        self._audit: list[AuditEntry] = []

    async def add_project(self, project: Project) -> bool:
        with self._lock:
            return self._projects.setdefault(project.id, project) is project

    async def project(self, project_id: str) -> Project | None:
        with self._lock:
            return self._projects.get(project_id)

    async def projects(self, limit: int, after: str | None = None) -> Sequence[Project]:
        with self._lock:
            return _page(list(self._projects.values()), limit, after)

    async def change_project(self, project: Project) -> bool:
        with self._lock:
            if project.id not in self._projects:
                return False
            self._projects[project.id] = project
            return True

    async def add_key(self, key: Key) -> bool:
        with self._lock:
            taken = key.id in self._keys or any(other.digest == key.digest for other in self._keys.values())
            if taken or key.project_id not in self._projects:
                return False
            self._keys[key.id] = key
            return True

    async def find_key(self, digest: str) -> Key | None:
        with self._lock:
            return next((key for key in self._keys.values() if key.digest == digest), None)

    async def any_key(self, key_id: str) -> Key | None:
        with self._lock:
            return self._keys.get(key_id)

    async def key(self, project_id: str, key_id: str) -> Key | None:
        with self._lock:
            return self._of(project_id, key_id)

    async def keys(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Key]:
        with self._lock:
            return _page([key for key in self._keys.values() if key.project_id == project_id], limit, after)

    async def change_key(self, key: Key) -> bool:
        with self._lock:
            present = self._of(key.project_id, key.id)
            if present is None:
                return False
            revoked_at = key.revoked_at if present.revoked_at is None else present.revoked_at
            self._keys[key.id] = replace(key, revoked_at=revoked_at, last_used_at=present.last_used_at)
            return True

    async def touch_key(self, project_id: str, key_id: str, at: float) -> None:
        with self._lock:
            present = self._of(project_id, key_id)
            if present is not None and (present.last_used_at is None or present.last_used_at < at):
                self._keys[key_id] = replace(present, last_used_at=at)

    async def has_keys(self) -> bool:
        with self._lock:
            return bool(self._keys)

    async def record(self, entry: AuditEntry) -> None:
        with self._lock:
            self._audit.append(entry)

    async def audit(self, project_id: str | None, limit: int) -> Sequence[AuditEntry]:
        with self._lock:
            latest = reversed(self._audit)
            return list(islice((entry for entry in latest if project_id in (None, entry.project_id)), limit))

    def _of(self, project_id: str, key_id: str) -> Key | None:
        key = self._keys.get(key_id)
        return key if key is not None and key.project_id == project_id else None


def _page(items: Sequence[T], limit: int, after: str | None) -> Sequence[T]:
    names = [item.id for item in items]
    begin = names.index(after) + 1 if after in names else 0 if after is None else len(items)
    return items[begin : begin + limit]
