"""Knows answers that are kept to be given again, as frozen values; it must not know why, or where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AnswerKind(StrEnum):
    """Why an answer is kept: as the answer to an identical request, or as that to one attempt of a request."""

    CACHE = "cache"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class AnswerId:
    """Where an answer is kept: never in sight of another project."""

    kind: AnswerKind
    project_id: str
    name: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is kept: `fingerprint` is the request's, `answer` is None while somebody is making it."""

    fingerprint: str
    answer: bytes | None
