"""Knows how files that a request uploads into its container come into an agent's directory; it must not know what runs there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any

from pinnace.core.errors import RequestTooLarge
from pinnace.core.model.files import StoredFile, not_found
from pinnace.core.usecases.attaching import Shelf

#: How each file is read, by the path within the agent's directory that it is to have.
Brought = Mapping[str, Callable[[], AsyncGenerator[bytes, None]]]
UPLOAD = "container_upload"
#: Where files lie within the agent's directory: not at its top, where Claude Code looks for settings.
FOLDER = "uploads"
#: Bytes that a name may have on any file system, with some room.
_LONGEST = 200


async def brought(book: Shelf, project_id: str, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Brought]:
    """The body, in which each upload is a text that says where the file is, and the files; the same body where there is none."""
    messages = body.get("messages") or ()
    ids = [block["file_id"] for message in messages for block in _uploads(message)]
    if not ids:
        return body, {}
    found = {file.id: file for file in await book.some(project_id, [given for given in ids if isinstance(given, str)])}
    for given in ids:
        if given not in found:
            raise not_found(str(given))
    size, limit = sum(file.size for file in found.values()), book.rules.max_brought
    if size > limit:
        raise RequestTooLarge(
            f"The files that this request uploads have {size:,} bytes; an agent's directory may have {limit:,}.",
            limit=limit,
        )
    told = [{**message, "content": _told(message["content"], found)} for message in messages]
    return {**body, "messages": told}, {path_of(file): partial(book.read, file) for file in found.values()}


def path_of(file: StoredFile) -> str:
    """Where a file lies in the agent's directory: in every turn at the same place, and no two at one."""
    name, suffix = file.filename, PurePath(file.filename).suffix
    if len(name.encode()) > _LONGEST:
        ending = _cut(suffix, _LONGEST // 4)
        name = _cut(name, _LONGEST - len(ending.encode())) + ending
    return f"{FOLDER}/{file.id[-12:]}/{name}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _uploads(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if message.get("role") != "user" or not isinstance(content, list):
        return []
    return [block for block in content if block["type"] == UPLOAD and "file_id" in block]


def _told(content: Any, found: Mapping[str, StoredFile]) -> Any:
    if not isinstance(content, list):
        return content
    return [
        {
            "type": "text",
            "text": f"The file {found[block['file_id']].filename!r} is at {path_of(found[block['file_id']])}",
        }
        if block["type"] == UPLOAD and block.get("file_id") in found
        else block
        for block in content
    ]
