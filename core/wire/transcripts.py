"""Knows the entries of Claude Code's transcripts as far as messages go, both ways, sans-IO; it must not know who keeps them.

An entry is an object a line: `user` and `assistant` entries hold a message, of the assistant one content block each, and
`parentUuid` chains them. Everything else (attachments, modes, titles, summaries) is the CLI's own affair.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pinnace.core.errors import NotFound
from pinnace.core.model.sessions import Entry

#: The type of our own entry that takes back what was written after the entry `after`; a CLI never sees it.
TAKEN_BACK = "pinnace-taken-back"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a session; `id` is what a fork may end at, `at` is the time as the transcript has it (ISO 8601)."""

    id: str
    role: str
    content: Any
    at: str | None
    model: str | None = None


def standing(entries: Sequence[Entry], tail: str | None) -> tuple[list[Entry], bool]:
    """The entries that still hold, up to the one whose id is `tail`; the second value says whether there are more behind it.

    Entries without an id that follow it directly belong to it.
    """
    kept: list[Entry] = []
    for entry in entries:
        if entry.get("type") == TAKEN_BACK:
            kept = _until(kept, entry["after"])
        else:
            kept.append(entry)
    cut = _until(kept, tail)
    return cut, len(cut) < len(kept)


def taken_back(tail: str | None) -> Entry:
    """The entry that takes back everything after the one whose id is `tail`."""
    return {"type": TAKEN_BACK, "uuid": str(uuids.uuid4()), "after": tail}


def _until(entries: list[Entry], tail: str | None) -> list[Entry]:
    if tail is None:
        return []
    end = next((index + 1 for index in reversed(range(len(entries))) if entries[index].get("uuid") == tail), 0)
    while end < len(entries) and "uuid" not in entries[end]:
        end += 1
    return entries[:end]


def said(entries: Sequence[Entry]) -> list[Said]:
    """The conversation, oldest first; the blocks of one message of the assistant are put together again."""
    found: list[Said] = []
    last: str | None = None
    for entry in entries:
        if not _is_visible(entry):
            continue
        message = entry["message"]
        one = Said(entry["uuid"], message["role"], message["content"], entry.get("timestamp"), message.get("model"))
        name = message.get("id")
        if found and name is not None and name == last and found[-1].role == one.role == "assistant":
            before = found[-1]
            whole = [*_blocks(before.content), *_blocks(one.content)]
            found[-1] = Said(one.id, one.role, whole, before.at, before.model)
        else:
            found.append(one)
        last = name
    return found


def unanswered(entries: Sequence[Entry]) -> set[str]:
    """The ids of the tool calls at the end of a conversation that have no result yet."""
    messages = said(entries)
    if not messages or messages[-1].role != "assistant":
        return set()
    return {block["id"] for block in _blocks(messages[-1].content) if block.get("type") == "tool_use"}


def last_of(entries: Sequence[Entry]) -> str | None:
    """The id of the last entry that has one."""
    return next((entry["uuid"] for entry in reversed(entries) if "uuid" in entry), None)


def entry_of(role: str, message: Mapping[str, Any], parent: str | None, session: str, now: float) -> Entry:
    """An entry that holds a message and follows the entry whose id is `parent`."""
    return {
        "type": role,
        "uuid": str(uuids.uuid4()),
        "parentUuid": parent,
        "isSidechain": False,
        "userType": "external",
        "sessionId": session,
        "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "message": {"role": role, **message},
    }


def forked(entries: Sequence[Entry], session: str, until: str | None) -> list[Entry]:
    """The entries up to the message `until`, or all, as those of another session.

    Raises:
        NotFound: there is no such message.
    """
    if until is None:
        return [_renamed(entry, session) for entry in entries]
    if not any(message.id == until for message in said(entries)):
        raise NotFound(f"There is no message {until} in this session; GET …/history lists them.")
    kept: list[Entry] = []
    for entry in entries:
        kept.append(_renamed(entry, session))
        if entry.get("uuid") == until:
            break
    return kept


def _renamed(entry: Entry, session: str) -> Entry:
    return {**entry, "sessionId": session} if "sessionId" in entry else entry


def _is_visible(entry: Mapping[str, Any]) -> bool:
    hidden = any(entry.get(name) for name in ("isMeta", "isSidechain", "teamName"))
    return entry.get("type") in ("user", "assistant") and not hidden and isinstance(entry.get("message"), dict)


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content
