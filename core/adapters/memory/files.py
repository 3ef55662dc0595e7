"""Knows how files' records are kept in memory; see `pinnace.core.ports.Files` for what it promises."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from pinnace.core.errors import StorageExceeded
from pinnace.core.model.files import FileState, StoredFile


class MemoryFiles:
    """`Files` of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], StoredFile] = {}

    async def begin(self, upload: StoredFile, quota: int) -> None:
        with self._lock:
            left = quota - self._used(upload.project_id)
            if upload.size > left:
                raise StorageExceeded(limit=quota, left=left, needed=upload.size)
            self._kept[upload.project_id, upload.id] = upload

    async def complete(self, file: StoredFile) -> bool:
        return self._step(file, FileState.UPLOADING, replace(file, state=FileState.READY))

    async def withdraw(self, file: StoredFile) -> bool:
        return self._step(file, file.state, replace(file, state=FileState.LEAVING))

    async def remove(self, file: StoredFile) -> bool:
        return self._step(file, FileState.LEAVING, None)

    async def find(self, project_id: str, file_id: str) -> StoredFile | None:
        with self._lock:
            return self._kept.get((project_id, file_id))

    async def many(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        wanted = set(file_ids)
        return [file for file in self._newest_first(project_id) if file.id in wanted]

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[StoredFile]:
        ready = [file for file in self._newest_first(project_id) if file.state is FileState.READY]
        if before is not None:
            return [file for file in ready if file.id > before][-limit:]
        return [file for file in ready if after is None or file.id < after][:limit]

    async def expired(self, now: float, limit: int) -> Sequence[StoredFile]:
        with self._lock:
            return [file for file in self._kept.values() if file.due is not None and file.due <= now][:limit]

    async def used(self, project_id: str) -> int:
        with self._lock:
            return self._used(project_id)

    def _used(self, project_id: str) -> int:
        return sum(file.size for file in self._kept.values() if file.project_id == project_id)

    def _newest_first(self, project_id: str) -> list[StoredFile]:
        with self._lock:
            found = [file for file in self._kept.values() if file.project_id == project_id]
        return sorted(found, key=lambda file: file.id, reverse=True)

    def _step(self, file: StoredFile, state: FileState, becomes: StoredFile | None) -> bool:
        """Replace a file that is in this state."""
        key = (file.project_id, file.id)
        with self._lock:
            present = self._kept.get(key)
            if present is None or present.state is not state:
                return False
            if becomes is None:
                del self._kept[key]
            else:
                self._kept[key] = becomes
            return True
