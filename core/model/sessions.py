"""Knows a session: an agent's conversation and its files, as they outlive a process; it must not know where they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from pinnace.core.errors import Conflicted
from pinnace.core.model.run import Profile

#: Where entries of a transcript are: `project_key`, `session_id`, and `subpath` where they are a subagent's.
TranscriptKey = Mapping[str, str]
#: A line of one of Claude Code's transcripts.
Entry = dict[str, Any]
#: A session's id is the caller's own word, of so many characters at most.
LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of a project.

    `uuid` names it where its own id cannot, `transcript` is the CLI's id of what was said, and `tail` the id of the last entry
    of it that was kept: what a call wrote behind it without ending well was not said. `defaults` are fields of a call's
    body that a turn need not repeat (`model`, `system`, `tools`, `max_tokens`). `turns` counts the turns that were kept.
    `place` is the name of the directory that it works in, the same on every machine where that can be, because the model has
    seen it; `workspace` names what was kept of its files. `fence` counts those who held it: whoever writes with an older
    number has lost it. Times are seconds since the epoch.
    """

    project_id: str
    id: str
    uuid: str
    created_at: float
    used_at: float
    profile: Profile | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    ttl: float | None = None
    turns: int = 0
    transcript: str | None = None
    tail: str | None = None
    place: str | None = None
    workspace: str | None = None
    parent: str | None = None
    fence: int = 0
    held_until: float = 0.0

    @property
    def expires_at(self) -> float | None:
        """When it is gone, unless it is used before."""
        return None if self.ttl is None else self.used_at + self.ttl

    def is_there(self, now: float) -> bool:
        """Whether it has not expired; one that is held has not."""
        return self.expires_at is None or now < self.expires_at or now < self.held_until

    @property
    def project_name(self) -> str:
        """A name for its project that is fit for a path; nothing of it is a caller's word."""
        return sha256(self.project_id.encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """A name for it that no other project's session has, and that is fit for a path."""
        return f"{self.project_name}/{self.uuid}"

    def released(self) -> Session:
        """The same, held by nobody."""
        return replace(self, held_until=0.0)


def held_by_another(session: Session, now: float) -> Conflicted:
    """Why a session cannot be written to."""
    left = max(1.0, session.held_until - now)
    return Conflicted("Another call of this session is running; one at a time may write to it.", retry_after=left)


def overtaken() -> Conflicted:
    """Why somebody who held a session may not write to it any more."""
    return Conflicted("This call took so long that another one has taken its session over.")


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file of a session's directory: its path within it, its bytes, and when it was changed (seconds since the epoch)."""

    path: str
    size: int
    modified_at: float
