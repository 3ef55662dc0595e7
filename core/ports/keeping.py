"""Knows what keeping answers, requests, sessions and files needs; it must not know an adapter.

Each need is a Protocol with its contract in prose.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pinnace.core.model.access_log import AccessRecord, AccessStats
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.model.sessions import Entry, Session, TranscriptKey, WorkspaceFile


class AnswerStore(Protocol):
    """Keeps answers until a moment; every operation is atomic, between threads and processes. What has expired is not there."""

    async def claim(self, answer_id: AnswerId, fingerprint: str, now: float, until: float) -> KeptAnswer | None:
        """Give what is kept; where nothing is, keep the claim that an answer is being made, and give None, to one of many."""
        ...

    async def keep(self, answer_id: AnswerId, answer: KeptAnswer, now: float, until: float) -> None:
        """Keep an answer in the place of whatever is there."""

    async def look(self, answer_id: AnswerId, now: float) -> KeptAnswer | None: ...

    async def release(self, answer_id: AnswerId) -> None:
        """Give a claim up; an answer stays."""

    async def forget(self, kind: AnswerKind, project_id: str) -> int:
        """Drop all of a kind and a project, and say how many there were."""
        ...


class AccessLog(Protocol):
    """Writes down each request that was answered, and sums them up.

    `add` takes a record at once, never waits for a disk and never fails; what cannot be written is lost, counted in `lost`,
    and logged. `stats` counts what was added before it was asked. `aclose` writes what is still waiting.
    """

    @property
    def lost(self) -> int: ...

    def add(self, record: AccessRecord) -> None: ...

    async def stats(self, project_id: str | None, first: str, last: str) -> AccessStats:
        """The requests of the days from `first` to `last`, both included, of one project or of all.

        Raises `PartMissing` where what reads the log is not installed, `StoreFailed` where it cannot be read.
        """
        ...

    async def aclose(self) -> None: ...


class Sessions(Protocol):
    """Keeps sessions, each within its project, and says who may write to one.

    Every operation is atomic between threads and processes. Time comes from the caller's clock. A session that has expired
    may be given; who asks looks at `is_there`.
    """

    async def add(self, session: Session) -> bool:
        """Keep a new session; False where the id is taken."""
        ...

    async def find(self, project_id: str, session_id: str) -> Session | None: ...

    async def page(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Session]:
        """In the order of creation, the oldest first; `after` is the id of the last one already seen."""
        ...

    async def acquire(self, project_id: str, session_id: str, now: float, until: float) -> Session | None:
        """Hold a session until a moment, with a fence that is higher than any before; None where there is no such session.

        Raises `Conflicted`, with the seconds that are left, where somebody holds it.
        """
        ...

    async def renew(self, session: Session, until: float) -> bool:
        """Hold it longer; False where `session.fence` is not the last one (any more)."""
        ...

    async def save(self, session: Session) -> bool:
        """Replace a session that is held under `session.fence`, its holding included; False where it is not."""
        ...

    async def remove(self, session: Session) -> bool:
        """Drop a session that is held under `session.fence`; False where it is not."""
        ...

    async def expired(self, now: float, limit: int) -> Sequence[Session]:
        """Sessions whose time is over and that nobody holds, of every project."""
        ...


class Transcripts(Protocol):
    """Keeps what was said in sessions: the `SessionStore` of the Claude Agent SDK, with a fence.

    The SDK's contract (`claude_agent_sdk.SessionStore`): entries are given back deep-equal and in the order of `append`; one
    whose `uuid` is there already is not kept again; a key that was never written is None; deleting a session deletes its
    subagents. `fence` is what `Session.fence` was for who writes: a lower one than the highest that a session has seen
    raises `Conflicted`, and nothing is written. A write is kept whole or not at all.
    """

    async def append(self, key: TranscriptKey, entries: list[Entry], *, fence: int = 0) -> None: ...

    async def load(self, key: TranscriptKey) -> list[Entry] | None: ...

    async def list_subkeys(self, key: TranscriptKey) -> list[str]: ...

    async def list_sessions(self, project_key: str) -> list[dict[str, Any]]:
        """`session_id` and `mtime` (milliseconds since the epoch, never twice the same) of each."""
        ...

    async def delete(self, key: TranscriptKey) -> None: ...

    async def guard(self, key: TranscriptKey, fence: int) -> None:
        """Let nobody with a lower fence write from now on; raises `Conflicted` where a higher one was seen."""


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A kept file: its name, its bytes, and when it was written, in seconds since the epoch by the store's own clock."""

    name: str
    size: int
    modified_at: float


class Blobs(Protocol):
    """Keeps files under names that the server chose (`[a-z0-9._/-]`); a file is there whole, or not at all."""

    async def put(self, name: str, source: Path) -> None:
        """Keep a copy of a file, in the place of what is there."""

    async def take(self, name: str, source: Path) -> None:
        """Keep a file, in the place of what is there; it may be gone from `source` afterwards."""

    async def get(self, name: str, target: Path) -> bool:
        """Write it to a file; False where there is none."""
        ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` on, or so many of them, in pieces; raises `StoreFailed` where there is no such file."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Keep it under another name as well."""

    async def move(self, source: str, target: str) -> bool:
        """Keep it under another name; False where there is none (any more), because somebody else was first."""
        ...

    async def listed(self, prefix: str, limit: int) -> Sequence[BlobEntry]:
        """Files whose names begin with `prefix` and a slash, by their names; those that others put there too."""
        ...

    async def delete(self, name: str) -> None: ...

    async def delete_all(self, prefix: str) -> None:
        """Drop everything whose name begins with `prefix` and a slash."""


class Workspaces(Protocol):
    """Keeps the files of a session's directory, one state a turn, of which only what changed is written.

    `name` is `Session.name`, a state's name is what `save` gave. Directories, modes, times and symbolic links (as links) are
    kept; nothing outside of the directory is ever read or written.
    """

    async def restore(self, name: str, state: str, directory: Path) -> None:
        """Make an empty directory as it was."""

    async def save(self, name: str, state: str | None, directory: Path) -> str:
        """Keep what is in a directory now; `state` is the one before. Raises `RequestTooLarge` where it is too much."""
        ...

    async def settle(self, name: str, before: str | None, now: str) -> None:
        """Drop what the state before needed and this one does not."""

    async def files(self, name: str, state: str) -> Sequence[WorkspaceFile]: ...

    async def read(self, name: str, state: str, path: str, target: Path) -> bool:
        """Write one of the files to `target`; False where there is none."""
        ...

    async def write(self, name: str, state: str | None, path: str, source: Path) -> str:
        """Keep a state with one more file, or another one in its place."""
        ...

    async def copy(self, name: str, state: str, target: str) -> None:
        """Give another session the same files, under the same state."""

    async def forget(self, name: str) -> None: ...
