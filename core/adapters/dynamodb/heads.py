"""Knows the head of a transcript: its name, who may write to it, and how much of it counts; it must not know an entry.

::

    pk                     sk         holds
    transcripts#PROJECT    SESSION    name, version, fence, mtime, cut; `main` where something was said; `gone` while it is
                                      deleted

All else of a transcript lies under its name, which is drawn by lot where it begins: what belongs to one that was deleted is never
taken for a part of the next. `version` counts the passages; what has a higher number is not there yet. `cut` is the version at
which a subagent was deleted last.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pinnace.core.adapters.dynamodb.items import Change, ConditionFailed, Item, Where
from pinnace.core.adapters.dynamodb.session import Session
from pinnace.core.model.sessions import TranscriptKey, overtaken


class Gone(Exception):
    """A transcript is being deleted, perhaps by somebody who died."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it was read."""

    name: str
    version: int
    mtime: int
    cut: int

    @property
    def pk(self) -> str:
        """What its parts lie under."""
        return f"transcript#{self.name}"

    def follows(self, before: Head) -> bool:
        """Whether all that counted then still counts."""
        return self.name == before.name and self.cut <= before.version


def where_of(key: TranscriptKey) -> Where:
    """Where the head of a session's transcript is."""
    return f"transcripts#{key['project_key']}", key["session_id"]


def find_head(session: Session, where: Where) -> Head | None:
    """The head, if the transcript is there."""
    item = session.get(where)
    return None if item is None or "gone" in item else head_from(item)


def open_head(session: Session, where: Where, fence: int) -> Head:
    """Let nobody with a lower fence write, and give the head, which is made where there is none.

    Raises:
        Conflicted: a higher fence was seen.
        Gone: it must be buried first.
    """
    change = Change(where)
    change.require(f"attribute_not_exists(pk) OR {_may_write(change, fence)}")
    change.set("fence", change.value(fence))
    for attribute, first in (("name", secrets.token_hex(16)), ("version", 0), ("mtime", 0), ("cut", 0)):
        change.set(attribute, f"if_not_exists({change.name(attribute)}, {change.value(first)})")
    try:
        return head_from(session.change(change))
    except ConditionFailed as failed:
        raise (Gone if "gone" in failed.items[0] else overtaken)() from failed


def advance(where: Where, before: Head, after: Head, fence: int | None) -> Change:
    """Change a head that is as it was read; `fence` is None for what no fence guards."""
    change = Change(where)
    change.require(f"{change.name('name')} = {change.value(before.name)}")
    change.require(f"{change.name('version')} = {change.value(before.version)}")
    if fence is None:
        change.require(f"attribute_not_exists({change.name('gone')})")
    else:
        change.require(_may_write(change, fence))
        change.set("fence", change.value(fence))
    for attribute, value in (("version", after.version), ("mtime", after.mtime), ("cut", after.cut)):
        change.set(attribute, change.value(value))
    return change


def mark_gone(session: Session, where: Where, *, again: bool) -> str | None:
    """Say that a transcript is being deleted, and give its name; None where there is none, or `again` and nobody said so yet."""
    change = Change(where)
    change.require_item()
    if again:
        # It may have been buried and begun anew meanwhile.
        change.require(f"attribute_exists({change.name('gone')})")
    change.set("gone", change.value(1))
    try:
        return str(session.change(change)["name"])
    except ConditionFailed:
        return None


def head_from(item: Item) -> Head:
    """Read a head."""
    return Head(str(item["name"]), int(item["version"]), int(item["mtime"]), int(item["cut"]))


def _may_write(change: Change, fence: int) -> str:
    return f"attribute_not_exists({change.name('gone')}) AND {change.name('fence')} <= {change.value(fence)}"
