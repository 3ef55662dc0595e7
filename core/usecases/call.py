"""Knows what a call is, and what is told of it when it has ended; it must not know how it is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pinnace.core.model.access import Principal
from pinnace.core.model.ledger import Amount
from pinnace.core.model.limits import Meter
from pinnace.core.model.routing import Decision
from pinnace.core.model.run import MessageMode, Outcome, Profile
from pinnace.core.model.usage import Use
from pinnace.core.usecases.billing import amount_of
from pinnace.core.usecases.bringing import Brought
from pinnace.core.usecases.replay import fingerprint_of


class CacheUse(StrEnum):
    """Whether an answer that is kept is given, and whether a new one is kept."""

    OFF = "off"
    ON = "on"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, and by whom; `model` is the name as the caller wrote it, `seconds` bounds the run."""

    request_id: str
    principal: Principal
    profile: Profile
    path: str
    model: str
    body: Mapping[str, Any]
    betas: tuple[str, ...]
    api_version: str
    seconds: float
    mode: MessageMode
    cache: CacheUse = CacheUse.OFF
    idempotency_key: str | None = None
    session_id: str | None = None
    session_wait: float = 0.0
    files: Brought = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A name for everything that the answer depends on; reads the whole body, so it is asked for once."""
        return fingerprint_of(
            self.profile.value, self.mode.value, self.betas, self.api_version, self.body, self.session_id
        )


@dataclass(slots=True)
class Receipt:
    """What became of a call; complete once its events have ended, however they ended."""

    model: str = ""
    decision: Decision | None = None
    meters: Sequence[Meter] = ()
    outcome: Outcome = field(default_factory=Outcome)
    used: Mapping[str, Use] = field(default_factory=dict)
    cost_known: bool = True
    cache: str | None = None
    replayed: bool = False

    @property
    def amount(self) -> Amount:
        return amount_of(self.used)


def new_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    """The index at which the caller's new turn begins: after the last message of the assistant."""
    answered = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return answered[-1] + 1 if answered else 0
