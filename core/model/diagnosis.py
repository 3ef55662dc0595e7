"""Knows what a look at an installation finds; it must not know how anything is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do where it is not well."""

    name: str
    status: Literal["ok", "warning", "failed"]
    message: str
    remedy: str | None
