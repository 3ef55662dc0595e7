"""Knows what keeping uploaded files needs, beside their bytes (`Blobs`); it must not know an adapter.

Each need is a Protocol with its contract in prose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pinnace.core.model.files import StoredFile, UploadForm


class Files(Protocol):
    """Keeps what is known of files, each within its project, and counts their bytes.

    Every operation is atomic between threads and processes. Time comes from the caller's clock. A file goes one way:
    uploading, ready, leaving, removed; who is late to a step learns it by a False.
    """

    async def begin(self, upload: StoredFile, quota: int) -> None:
        """Keep an upload under its new id, and count its bytes, so that the project never has more than `quota` of them.

        Raises `StorageExceeded` where it would; nothing is kept then.
        """

    async def complete(self, file: StoredFile) -> bool:
        """Replace an upload by the file that it became, which is ready and of the same size; False where it is none any more."""
        ...

    async def withdraw(self, file: StoredFile) -> bool:
        """Let it leave: nobody is shown it, and nobody completes it; False where it is not in `file.state` any more."""
        ...

    async def remove(self, file: StoredFile) -> bool:
        """Forget a file that is leaving, and count its bytes no longer; False where there is none."""
        ...

    async def find(self, project_id: str, file_id: str) -> StoredFile | None:
        """In whatever state it is."""
        ...

    async def many(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]:
        """Those that there are, in whatever state, the newest first."""
        ...

    async def page(
        self, project_id: str, limit: int, after: str | None = None, before: str | None = None
    ) -> Sequence[StoredFile]:
        """Up to `limit` files that are ready, the newest first: those that follow the id `after` in this order.

        With `before` it is those that come right before that id. The ids need not be there any more.
        """
        ...

    async def expired(self, now: float, limit: int) -> Sequence[StoredFile]:
        """Files of every project that somebody has to drop: `due` is not later than `now`."""
        ...

    async def used(self, project_id: str) -> int:
        """How many bytes count, of files in every state."""
        ...


class DirectUploads(Protocol):
    """Lets clients send a file straight to where files are kept, for hosts whose own requests are small.

    What was sent under a name lies apart from all blobs until it is accepted.
    """

    async def offer(self, name: str, size: int, seconds: float) -> UploadForm:
        """Let whoever has the form send exactly `size` bytes under `name` for so many seconds, and do nothing else."""
        ...

    async def accept(self, name: str, blob: str) -> int | None:
        """Keep a copy of what was sent as a blob, and give its size in bytes; None where nothing was sent."""
        ...

    async def remove(self, name: str) -> None:
        """Drop what was sent, if anything was."""

    async def discard(self, before: float) -> None:
        """Drop what was sent before a moment, accepted or not."""
