"""Knows how transcripts are kept in memory; see `pinnace.core.ports.Transcripts` for what it promises."""

from __future__ import annotations

import threading
from typing import Any

import orjson

from pinnace.core.model.sessions import overtaken
from pinnace.core.ports import Clock, Entry, TranscriptKey

_Where = tuple[str, str]


class MemoryTranscripts:
    """`Transcripts` of one process; entries are kept as text, so that nobody changes what is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[_Where, dict[str, list[bytes]]] = {}
        self._seen: dict[tuple[_Where, str], set[str]] = {}
        self._fences: dict[_Where, int] = {}
        self._changed: dict[_Where, int] = {}
        self._moment = 0

    async def append(self, key: TranscriptKey, entries: list[Entry], *, fence: int = 0) -> None:
        where, subpath = _where(key), key.get("subpath", "")
        with self._lock:
            self._check(where, fence)
            seen = self._seen.setdefault((where, subpath), set())
            kept = self._kept.setdefault(where, {}).setdefault(subpath, [])
            for entry in entries:
                uuid = entry.get("uuid")
                if isinstance(uuid, str):
                    if uuid in seen:
                        continue
                    seen.add(uuid)
                kept.append(orjson.dumps(entry))
            self._moment = max(self._moment + 1, int(self._clock.now() * 1000))
            self._changed[where] = self._moment

    async def load(self, key: TranscriptKey) -> list[Entry] | None:
        with self._lock:
            kept = self._kept.get(_where(key), {}).get(key.get("subpath", ""))
            return None if kept is None else [orjson.loads(entry) for entry in kept]

    async def list_subkeys(self, key: TranscriptKey) -> list[str]:
        with self._lock:
            return [subpath for subpath in self._kept.get(_where(key), {}) if subpath]

    async def list_sessions(self, project_key: str) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"session_id": session_id, "mtime": self._changed[project, session_id]}
                for (project, session_id), parts in self._kept.items()
                if project == project_key and "" in parts
            ]

    async def delete(self, key: TranscriptKey) -> None:
        where, subpath = _where(key), key.get("subpath")
        with self._lock:
            gone = [subpath] if subpath else list(self._kept.get(where, {}))
            for part in gone:
                self._kept.get(where, {}).pop(part, None)
                self._seen.pop((where, part), None)
            if not subpath:
                self._kept.pop(where, None)
                self._fences.pop(where, None)

    async def guard(self, key: TranscriptKey, fence: int) -> None:
        with self._lock:
            self._check(_where(key), fence)

    def _check(self, where: _Where, fence: int) -> None:
        if fence < self._fences.get(where, 0):
            raise overtaken()
        if fence:
            self._fences[where] = fence


def _where(key: TranscriptKey) -> _Where:
    return key["project_key"], key["session_id"]
