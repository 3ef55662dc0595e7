"""Knows how a project's files come, are found, read and go, so that nothing half-written is seen and no byte stays for ever.

The order is the contract. A file comes: its record is begun and its bytes are counted, then the bytes are kept, then it is
complete and seen. It goes: it is seen no longer, then its bytes are dropped, then its record is. Whatever dies in between, the
record is there and says what is left to be dropped; `sweep` does that. It must not know HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pinnace.core.errors import StorageExceeded, StoreFailed
from pinnace.core.model.files import ID_LENGTH, ID_PREFIX, FileRules, FileState, StoredFile, new_blob, new_id, not_found
from pinnace.core.ports import Blobs, Clock, DirectUploads, Files
from pinnace.core.usecases.arrivals import Arrival
from pinnace.core.usecases.attaching import attached
from pinnace.core.usecases.bringing import Brought, brought
from pinnace.core.usecases.media_types import extension, media_type

log = logging.getLogger("pinnace.files")

#: Seconds within which the bytes of a file that was received are kept, after which its record counts as abandoned.
LEASE = 3600.0
#: Seconds for which a client may send a file by itself.
OFFERED = 3600.0
#: Files that are dropped at a time, and seconds between two looks for what has no record.
SWEPT, CLEANING = 100, 600.0
ID = re.compile(rf"{ID_PREFIX}[0-9a-f]{{{ID_LENGTH - len(ID_PREFIX)}}}")


@dataclass(slots=True)
class FileBook:
    """All files; `arriving` is a directory for what is being received, `direct` is where clients may send files themselves."""

    files: Files
    blobs: Blobs
    clock: Clock
    arriving: Path
    rules: FileRules = field(default_factory=FileRules)
    direct: DirectUploads | None = None
    _coming: Counter[str] = field(default_factory=Counter)
    _cleaned: float | None = None

    @contextlib.asynccontextmanager
    async def receiving(self, project_id: str, expected: int = 0) -> AsyncIterator[Arrival]:
        """Receive a file, of which nothing is left afterwards unless it was added; at least `expected` bytes come.

        Raises:
            StorageExceeded: the project has no room for it.
        """
        quota = self.rules.quota
        left = quota - await self.files.used(project_id)
        if expected > left:
            raise StorageExceeded(limit=quota, left=left, needed=expected)
        came = 0

        def room(size: int) -> None:
            nonlocal came
            came += size
            self._coming[project_id] += size
            if self._coming[project_id] > left:
                raise StorageExceeded(limit=quota, left=left, needed=max(expected, came))

        arrival = Arrival(self.arriving / secrets.token_hex(16), self.rules.max_bytes, room)
        try:
            yield arrival
        finally:
            self._coming[project_id] -= came
            if not self._coming[project_id]:
                del self._coming[project_id]
            await arrival.discard()

    async def add(
        self, project_id: str, arrival: Arrival, filename: str | None, given: str | None, ttl: float | None
    ) -> StoredFile:
        """Keep a file that was received; `given` is what its sender says it is. One without a name gets one.

        Raises:
            StorageExceeded: the project has no room for it.
            StoreFailed: it cannot be kept.
        """
        await arrival.end()
        kind = media_type(arrival.head, given, filename)
        name = filename or f"unnamed{extension(kind)}"
        upload = self.begun(project_id, name, kind, arrival.size, ttl, LEASE)
        # A caller who leaves now has sent all of it: it is carried to its end, or to nothing.
        adding = asyncio.ensure_future(self._add(replace(upload, sha256=arrival.sha256), arrival))
        try:
            return await asyncio.shield(adding)
        except asyncio.CancelledError:
            await asyncio.wait({adding})
            raise

    async def show(self, project_id: str, file_id: str) -> StoredFile:
        """A file of the project.

        Raises:
            NotFound: there is none of this id.
        """
        found = await self.files.find(project_id, file_id) if ID.fullmatch(file_id) else None
        if found is None or not found.is_there(self.clock.now()):
            raise not_found(file_id)
        return found

    async def some(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        """Those of these files that there are, the newest first."""
        known = [file_id for file_id in file_ids if ID.fullmatch(file_id)]
        now = self.clock.now()
        return [file for file in await self.files.many(project_id, known) if file.is_there(now)]

    async def list(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[StoredFile]:
        """Up to `limit` files, the newest first; fewer only where there are no more."""
        found: list[StoredFile] = []
        while True:
            now, kept = self.clock.now(), await self.files.page(project_id, limit, after, before)
            shown = [file for file in kept if file.is_there(now)]
            found = [*shown, *found] if before is not None else [*found, *shown]
            if len(found) >= limit or len(kept) < limit:
                return found[-limit:] if before is not None else found[:limit]
            after, before = (None, kept[0].id) if before is not None else (kept[-1].id, None)

    def read(self, file: StoredFile, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` on, or so many of them, in pieces."""
        return self.blobs.read(file.blob, start, length)

    async def drop(self, project_id: str, file_id: str) -> None:
        """Leave nothing of a file.

        Raises:
            NotFound: there is none of this id.
        """
        file = await self.show(project_id, file_id)
        if not await self.files.withdraw(file):
            raise not_found(file_id)
        try:
            await self._erase(file)
        except StoreFailed:
            # Nobody sees it any more; the sweeper tries again.
            log.warning("the bytes of a deleted file could not be dropped yet", exc_info=True)

    async def attach(self, project_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A request's body with the files that it names in it; the same one where it names none.

        Raises:
            NotFound: there is no such file.
            InvalidRequest: a file is of a type that the model does not take there.
            RequestTooLarge: they are too much for one request.
        """
        return await attached(self, project_id, body)

    async def bring(self, project_id: str, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Brought]:
        """A request's body that says where the files that it uploads are in an agent's directory, and these files.

        Raises:
            NotFound: there is no such file.
            RequestTooLarge: they are too much for one directory.
        """
        return await brought(self, project_id, body)

    async def sweep(self) -> int:
        """Drop files whose time is over and uploads that nobody completed, and say how many."""
        gone = 0
        for file in await self.files.expired(self.clock.now(), SWEPT):
            if file.state is FileState.LEAVING or await self.files.withdraw(file):
                await self._erase(file)
                gone += 1
        await self._clean()
        return gone

    def begun(
        self, project_id: str, filename: str, kind: str, size: int, ttl: float | None, lease: float
    ) -> StoredFile:
        """An upload of this moment, which counts as abandoned after `lease` seconds."""
        now = self.clock.now()
        stays = self.rules.ttl if ttl is None else ttl
        expires_at = None if stays is None else now + stays
        return StoredFile(project_id, new_id(now), filename, kind, size, now, now + lease, expires_at)

    def completed(self, upload: StoredFile) -> StoredFile:
        """The upload as a file of this moment: its time begins now."""
        late = self.clock.now() - upload.created_at
        expires_at = None if upload.expires_at is None else upload.expires_at + late
        return replace(upload, created_at=upload.created_at + late, expires_at=expires_at)

    async def _add(self, upload: StoredFile, arrival: Arrival) -> StoredFile:
        await self.files.begin(upload, self.rules.quota)
        file = self.completed(replace(upload, blob=new_blob(upload)))
        try:
            await self.blobs.take(file.blob, arrival.place)
            if not await self.files.complete(file):
                raise StoreFailed("It took too long to keep this file; nothing of it was kept.")
        except BaseException:
            with contextlib.suppress(StoreFailed):
                await self._give_up(upload)
            raise
        return replace(file, state=FileState.READY)

    async def _give_up(self, upload: StoredFile) -> None:
        """Leave nothing of an upload that failed; what was completed after all, though its store said no, is there."""
        present = await self.files.find(upload.project_id, upload.id)
        if present is None or present.state is FileState.LEAVING or await self.files.withdraw(upload):
            await self._erase(upload)

    async def _erase(self, file: StoredFile) -> None:
        await self.blobs.delete_all(file.place)
        if self.direct is not None:
            await self.direct.remove(file.id)
        await self.files.remove(file)

    async def _clean(self) -> None:
        """Drop what has no record: what a server that was killed was receiving, and what was sent after its time."""
        now = self.clock.now()
        if self._cleaned is not None and now - self._cleaned < CLEANING:
            return
        self._cleaned = now
        await asyncio.to_thread(_drop_older, self.arriving, now - LEASE)
        if self.direct is not None:
            await self.direct.discard(now - OFFERED - LEASE)


def _drop_older(directory: Path, moment: float) -> None:
    """Drop files that nobody wrote to since a moment."""
    with contextlib.suppress(FileNotFoundError):
        for place in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if place.stat().st_mtime < moment:
                    place.unlink()
