"""Knows how sessions are kept in memory; see `pinnace.core.ports.Sessions` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from pinnace.core.model.sessions import Session, held_by_another


class MemorySessions:
    """`Sessions` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Session] = {}

    async def add(self, session: Session) -> bool:
        with self._lock:
            return self._kept.setdefault((session.project_id, session.id), session) is session

    async def find(self, project_id: str, session_id: str) -> Session | None:
        with self._lock:
            return self._kept.get((project_id, session_id))

    async def page(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Session]:
        with self._lock:
            found = [session for session in self._kept.values() if session.project_id == project_id]
        ids = [session.id for session in found]
        start = 0 if after is None else ids.index(after) + 1 if after in ids else len(ids)
        return found[start : start + limit]

    async def acquire(self, project_id: str, session_id: str, now: float, until: float) -> Session | None:
        with self._lock:
            session = self._kept.get((project_id, session_id))
            if session is None:
                return None
            if session.held_until > now:
                raise held_by_another(session, now)
            taken = replace(session, fence=session.fence + 1, held_until=until)
            self._kept[project_id, session_id] = taken
            return taken

    async def renew(self, session: Session, until: float) -> bool:
        with self._lock:
            present = self._holds(session)
            if present is not None:
                self._kept[session.project_id, session.id] = replace(present, held_until=until)
            return present is not None

    async def save(self, session: Session) -> bool:
        with self._lock:
            if self._holds(session) is None:
                return False
            self._kept[session.project_id, session.id] = session
            return True

    async def remove(self, session: Session) -> bool:
        with self._lock:
            if self._holds(session) is None:
                return False
            del self._kept[session.project_id, session.id]
            return True

    async def expired(self, now: float, limit: int) -> Sequence[Session]:
        with self._lock:
            return [session for session in self._kept.values() if not session.is_there(now)][:limit]

    def _holds(self, session: Session) -> Session | None:
        present = self._kept.get((session.project_id, session.id))
        return present if present is not None and present.fence == session.fence else None
