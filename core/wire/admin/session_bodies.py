"""Knows what may be asked of sessions and how they are shown; it must not know who may ask, or where a session is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pinnace.core.model.run import Profile
from pinnace.core.model.sessions import LONGEST_ID, Session, WorkspaceFile
from pinnace.core.wire.transcripts import Said

SessionId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
#: Ten years; what lives longer has no `ttl_seconds`.
LONGEST_TTL = 315_360_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSession(_Body):
    """A session to be begun; what it says a turn need not say again."""

    id: SessionId | None = None
    profile: Profile | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=1000)
    max_tokens: Annotated[int, Field(ge=1, strict=True)] | None = None
    ttl_seconds: Annotated[float, Field(gt=0, le=LONGEST_TTL)] | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of `Session` that are given."""
        named = {"model": self.model, "system": self.system, "tools": self.tools, "max_tokens": self.max_tokens}
        fields: dict[str, Any] = {"defaults": {name: value for name, value in named.items() if value is not None}}
        if self.profile is not None:
            fields["profile"] = self.profile
        if self.ttl_seconds is not None:
            fields["ttl"] = self.ttl_seconds
        return fields


class Fork(_Body):
    """Another session with what was said in this one, up to a message."""

    id: SessionId | None = None
    message_id: str | None = Field(default=None, max_length=128)


def session_view(session: Session) -> dict[str, Any]:
    """A session as it is shown; moments are ISO 8601 in UTC."""
    return {
        "id": session.id,
        "type": "session",
        "profile": session.profile,
        **{name: session.defaults.get(name) for name in ("model", "system", "tools", "max_tokens")},
        "turns": session.turns,
        "parent_id": session.parent,
        "created_at": _moment(session.created_at),
        "last_used_at": _moment(session.used_at),
        "expires_at": None if session.expires_at is None else _moment(session.expires_at),
    }


def said_view(one: Said) -> dict[str, Any]:
    """A message of a session's history."""
    return {
        "id": one.id,
        "type": "message",
        "role": one.role,
        "content": one.content,
        "model": one.model,
        "created_at": one.at,
    }


def file_view(file: WorkspaceFile) -> dict[str, Any]:
    """A file of a session's directory."""
    return {
        "id": file.path,
        "type": "session_file",
        "path": file.path,
        "size_bytes": file.size,
        "modified_at": _moment(file.modified_at),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
