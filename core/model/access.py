"""Knows who may do what: projects, keys and what a key is good for, as frozen values; it must not know how they are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from pinnace.core.model.run import Profile

#: What every key of this server begins with, so that a scanner of secrets can know one.
KEY_PREFIX = "pn_live_"
#: The project of calls that name no key of their own.
DEFAULT_PROJECT = "default"


class Scope(StrEnum):
    """What a key is good for; `admin` is good for everything, in every project."""

    MESSAGES = "messages"
    BATCHES = "batches"
    FILES = "files"
    SESSIONS = "sessions"
    USAGE = "usage"
    ADMIN = "admin"


#: What a key is good for where its maker does not say.
ORDINARY = frozenset(Scope) - {Scope.ADMIN}


class BudgetMode(StrEnum):
    """What happens at the end of a budget: calls are refused, or only a warning is given."""

    HARD = "hard"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a calendar month (UTC) and in all, in millionths of a dollar and in tokens; None is no bound."""

    monthly_microusd: int | None = None
    total_microusd: int | None = None
    monthly_tokens: int | None = None
    total_tokens: int | None = None
    mode: BudgetMode = BudgetMode.HARD

    @property
    def in_dollars(self) -> bool:
        """Whether dollars are bounded, so that every call must have a price."""
        return self.monthly_microusd is not None or self.total_microusd is not None

    @property
    def binding(self) -> bool:
        """Whether it may refuse a call."""
        bounds = (self.monthly_microusd, self.total_microusd, self.monthly_tokens, self.total_tokens)
        return self.mode is BudgetMode.HARD and any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key may take a minute, and how many calls at once; None is no bound."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant; times are seconds since the epoch. `allowed_models` are names or patterns (`claude-haiku-*`); empty is all."""

    id: str
    name: str
    created_at: float
    budget: Budget = field(default_factory=Budget)
    allowed_models: tuple[str, ...] = ()
    archived_at: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a project. `digest` is the SHA-256 of the secret, which is kept nowhere; `hint` is its last four characters."""

    id: str
    project_id: str
    name: str
    digest: str
    hint: str
    created_at: float
    scopes: frozenset[Scope] = ORDINARY
    profile: Profile | None = None
    allowed_models: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    budget: Budget = field(default_factory=Budget)
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def serves(self, now: float) -> bool:
        """Whether it is good at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a project, by a key that was made for it, or without one (the configured key, or an open server).

    `is_anyone` says that the server is open, so that nothing was asked.
    """

    project: Project
    scopes: frozenset[Scope]
    key: Key | None = None
    is_anyone: bool = False

    @property
    def project_id(self) -> str:
        return self.project.id

    @property
    def key_id(self) -> str | None:
        return self.key.id if self.key else None

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        """Whether the scope is among its own."""
        return self.is_admin or scope in self.scopes

    def may_use(self, model: str) -> bool:
        """Whether the project and the key both allow a model."""
        allowed_by_key = self.key.allowed_models if self.key else ()
        return _allows(self.project.allowed_models, model) and _allows(allowed_by_key, model)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An administrative act: who (`actor`, a key's id or `configuration`) did what to which object."""

    at: float
    actor: str
    action: str
    target: str
    project_id: str
    details: dict[str, object] = field(default_factory=dict)


def new_secret() -> str:
    """Make a key's secret, of 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """The form in which a secret is kept and looked for: random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _allows(patterns: Iterable[str], model: str) -> bool:
    given = tuple(patterns)
    return not given or any(fnmatchcase(model, pattern) for pattern in given)
