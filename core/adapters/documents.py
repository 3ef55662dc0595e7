"""Knows projects, keys, audit entries, usage and sessions as JSON, for stores that keep text; it must not know a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from pinnace.core.model.access import AuditEntry, Budget, BudgetMode, Key, Limits, Project, Scope
from pinnace.core.model.run import Profile
from pinnace.core.model.sessions import Session
from pinnace.core.model.usage import UsageRecord, Use

Document = Mapping[str, Any]


def encode(value: Project | Key | AuditEntry | UsageRecord | Session) -> str:
    """Write a value down."""
    return orjson.dumps(asdict(value), default=_plain).decode()


def project_from(text: str | bytes) -> Project:
    """Read a project."""
    fields = orjson.loads(text)
    return Project(
        **fields | {"budget": _budget(fields["budget"]), "allowed_models": tuple(fields["allowed_models"])},
    )


def key_from(text: str | bytes) -> Key:
    """Read a key."""
    fields = orjson.loads(text)
    profile = fields["profile"]
    return Key(
        **fields
        | {
            "budget": _budget(fields["budget"]),
            "limits": Limits(**fields["limits"]),
            "scopes": frozenset(Scope(name) for name in fields["scopes"]),
            "profile": None if profile is None else Profile(profile),
            "allowed_models": tuple(fields["allowed_models"]),
        },
    )


def audit_from(text: str | bytes) -> AuditEntry:
    """Read an audit entry."""
    return AuditEntry(**orjson.loads(text))


def record_from(text: str | bytes) -> UsageRecord:
    """Read a usage record."""
    fields = orjson.loads(text)
    by_model = {model: Use(**use) for model, use in fields["by_model"].items()}
    return UsageRecord(**fields | {"by_model": by_model})


def session_from(text: str | bytes) -> Session:
    """Read a session."""
    fields = orjson.loads(text)
    profile = fields["profile"]
    return Session(**fields | {"profile": None if profile is None else Profile(profile)})


def _budget(fields: Document) -> Budget:
    return Budget(**{**fields, "mode": BudgetMode(fields["mode"])})


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no part of a document")
