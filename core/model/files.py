"""Knows a file that a project uploaded, from its upload to its end; it must not know where its bytes are kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from pinnace.core.errors import NotFound

#: What every file's id begins with.
ID_PREFIX = "file_"
#: Hexadecimal digits of an id: the moment in milliseconds, good until the year 2527, and random bits.
_MOMENT, _RANDOM = 11, 24
#: Characters of an id.
ID_LENGTH = len(ID_PREFIX) + _MOMENT + _RANDOM


class FileState(StrEnum):
    """Where a file stands: its bytes are on their way, it is there, or it is being dropped and only that."""

    UPLOADING = "uploading"
    READY = "ready"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a project; ids are the server's own, and later ones are greater.

    `size` is in bytes, and counts against the project's quota in every state. `sha256` (hexadecimal) and `blob`, the name of
    the bytes, are empty until it is there. `expires_at` is when it is gone, None for never; `completes_by` is when an upload
    counts as abandoned. Times are seconds since the epoch.
    """

    project_id: str
    id: str
    filename: str
    mime_type: str
    size: int
    created_at: float
    completes_by: float
    expires_at: float | None = None
    sha256: str = ""
    blob: str = ""
    state: FileState = FileState.UPLOADING

    @property
    def due(self) -> float | None:
        """When somebody has to drop it; None for never."""
        if self.state is FileState.UPLOADING:
            return self.completes_by
        return 0.0 if self.state is FileState.LEAVING else self.expires_at

    @property
    def place(self) -> str:
        """What all names of its bytes begin with: fit for a path, nobody else's, and nothing of it is a caller's word."""
        return f"{sha256(self.project_id.encode()).hexdigest()[:32]}/{self.id}"

    def is_there(self, now: float) -> bool:
        """Whether a caller may see it."""
        return self.state is FileState.READY and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class FileRules:
    """Bytes of one file, of a project's files together, of those in one request, and of those that an agent is brought at once.

    `ttl` is how many seconds a file stays that does not say.
    """

    max_bytes: int = 524_288_000
    quota: int = 10 << 30
    max_attached: int = 32 << 20
    ttl: float | None = None
    max_brought: int = 1 << 30


@dataclass(frozen=True, slots=True)
class UploadForm:
    """How a client sends a file straight to where files are kept: a form with these fields, and then the file as `file`."""

    url: str
    method: str
    fields: Mapping[str, str]


def new_blob(file: StoredFile) -> str:
    """Make a name for bytes of a file; each try to keep some has one of its own, so that none changes those of another."""
    return f"{file.place}/{secrets.token_hex(8)}"


def not_found(file_id: str) -> NotFound:
    """There is no such file, or it is another project's: nobody can tell which."""
    return NotFound(f"File not found: {file_id}")


def new_id(now: float) -> str:
    """Make an id that nobody can guess."""
    return f"{ID_PREFIX}{int(now * 1000):0{_MOMENT}x}{secrets.token_hex(_RANDOM // 2)}"
