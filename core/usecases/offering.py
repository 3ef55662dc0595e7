"""Knows how a client sends a file straight to where files are kept, and how it becomes one of the project's; not HTTP.

Room is reserved when the form is given out. What was sent is copied to a name that no form reaches before it is looked at, so
what is checked is what is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace

from pinnace.core.errors import InvalidRequest, NotFound
from pinnace.core.model.files import FileState, StoredFile, UploadForm, new_blob
from pinnace.core.ports import DirectUploads
from pinnace.core.usecases.arrivals import too_large
from pinnace.core.usecases.filing import ID, LEASE, OFFERED, FileBook
from pinnace.core.usecases.media_types import HEAD, UNKNOWN, essence, media_type


async def offer(
    book: FileBook, project_id: str, filename: str, size: int, given: str | None, ttl: float | None
) -> tuple[StoredFile, UploadForm]:
    """Reserve room for a file that the client sends by itself, and say how.

    Raises:
        InvalidRequest: clients cannot send files by themselves here.
        RequestTooLarge: it is larger than a file may be.
        StorageExceeded: the project has no room for it.
    """
    direct = _direct(book)
    if size > book.rules.max_bytes:
        raise too_large(book.rules.max_bytes)
    upload = book.begun(project_id, filename, essence(given) or UNKNOWN, size, ttl, OFFERED + LEASE)
    await book.files.begin(upload, book.rules.quota)
    return upload, await direct.offer(upload.id, size, OFFERED)


async def finish(book: FileBook, project_id: str, upload_id: str) -> StoredFile:
    """Make a file of what the client has sent; again and again it is the same one.

    Raises:
        NotFound: there is no such upload, or its time is over.
        InvalidRequest: nothing was sent, or something of another size.
    """
    direct, now = _direct(book), book.clock.now()
    upload = await book.files.find(project_id, upload_id) if ID.fullmatch(upload_id) else None
    if upload is not None and upload.is_there(now):
        return upload
    # What is copied now must be complete before the upload counts as abandoned.
    if upload is None or upload.state is not FileState.UPLOADING or now > upload.completes_by - LEASE / 2:
        raise NotFound(f"Upload not found: {upload_id}")
    blob = new_blob(upload)
    sent = await direct.accept(upload.id, blob)
    if sent is None:
        raise InvalidRequest("Nothing was uploaded yet: send the file with the upload's own form first")
    if sent != upload.size:
        await book.blobs.delete(blob)
        raise InvalidRequest(f"{upload.size} bytes were announced and {sent} were uploaded: send the file again")
    kind, digest = await _looked_at(book, blob, upload)
    file = book.completed(replace(upload, mime_type=kind, sha256=digest, blob=blob))
    if not await book.files.complete(file):
        # Another try was first, or somebody dropped it.
        await book.blobs.delete(blob)
        return await book.show(project_id, upload_id)
    await direct.remove(upload.id)
    return replace(file, state=FileState.READY)


def _direct(book: FileBook) -> DirectUploads:
    if book.direct is None:
        raise InvalidRequest(
            "This server keeps files itself: send the file to POST /v1/files",
            details={"error_code": "direct_uploads_unavailable"},
        )
    return book.direct


async def _looked_at(book: FileBook, blob: str, upload: StoredFile) -> tuple[str, str]:
    """The type and the checksum of what was sent."""
    digest, head = hashlib.sha256(), b""
    async with contextlib.aclosing(book.blobs.read(blob)) as pieces:
        async for piece in pieces:
            head = (head + piece)[:HEAD] if len(head) < HEAD else head
            await asyncio.to_thread(digest.update, piece)
    return media_type(head, upload.mime_type, upload.filename), digest.hexdigest()
