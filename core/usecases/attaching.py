"""Knows how files that a request names by their ids become part of it, as the model's API takes them; not where they are kept."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pinnace.core.errors import InvalidRequest, RequestTooLarge, StoreFailed
from pinnace.core.model.files import FileRules, StoredFile, not_found

Block = Mapping[str, Any]
Sources = Mapping[str, Mapping[str, str]]
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
#: Blocks that may hold a file, or blocks that may.
_HOLDERS = frozenset({"image", "document", "tool_result", "container_upload"})


class Shelf(Protocol):
    """Files of projects, as `FileBook` has them."""

    @property
    def rules(self) -> FileRules: ...

    async def some(self, project_id: str, file_ids: Sequence[str]) -> Sequence[StoredFile]: ...

    def read(self, file: StoredFile, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]: ...


async def attached(book: Shelf, project_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body with the files that it names in it; the same one where it names none."""
    named = list(_named(body.get("messages") or ()))
    if not named:
        return body
    found = {file.id: file for file in await book.some(project_id, list({file_id for _, file_id, _ in named}))}
    for kind, file_id, path in named:
        if file_id not in found:
            raise not_found(file_id)
        _check(kind, found[file_id], path)
    size = sum(_encoded(found[file_id]) for _, file_id, _ in named)
    if size > book.rules.max_attached:
        raise RequestTooLarge(
            f"The files that this request names are {size:,} bytes of it; a request may have {book.rules.max_attached:,}. "
            "Name fewer or smaller ones.",
            limit=book.rules.max_attached,
        )
    sources = {file.id: await _source(book, file) for file in found.values()}
    messages = [{**message, "content": _filled(message.get("content"), sources)} for message in body["messages"]]
    return {**body, "messages": messages}


def _named(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """The files that messages name: the type of the block, the id, and where it stands."""
    for index, message in enumerate(messages):
        content = message.get("content")
        if type(content) is list:
            for number, block in enumerate(content):
                # What most blocks are is left behind at once: this is on the way of every call.
                if block["type"] in _HOLDERS:
                    yield from _of_block(block, f"messages.{index}.content.{number}")


def _of_block(block: Block, path: str) -> Iterator[tuple[str, str, str]]:
    kind, source = block["type"], block.get("source")
    if kind == "container_upload":
        raise InvalidRequest(
            "files are put into a container in the agent profile alone, and in a user's own turn; in the messages profile name "
            "the file in the source of an image or a document block",
            path=path,
        )
    if isinstance(source, dict) and source.get("type") == "file":
        yield kind, source["file_id"], f"{path}.source.file_id"
    inner, at = (source, f"{path}.source") if kind == "document" else (block, path)
    content = inner.get("content") if isinstance(inner, dict) else None
    if kind in ("tool_result", "document") and isinstance(content, list):
        for number, one in enumerate(content):
            if one["type"] in _HOLDERS:
                yield from _of_block(one, f"{at}.content.{number}")


def _check(kind: str, file: StoredFile, path: str) -> None:
    """Refuse what the model does not take there.

    Raises:
        InvalidRequest: it does not.
    """
    fits = "image" if file.mime_type in IMAGES else "document" if file.mime_type == PDF or _is_text(file) else None
    if fits is None:
        raise InvalidRequest(
            f"the file is {file.mime_type}, and the model takes images (JPEG, PNG, GIF, WebP), PDF and text", path=path
        )
    if fits != kind:
        raise InvalidRequest(
            f"the file is {file.mime_type}, which goes into a block of the type {fits!r}, not {kind!r}", path=path
        )


def _is_text(file: StoredFile) -> bool:
    return file.mime_type.startswith("text/")


def _encoded(file: StoredFile) -> int:
    return file.size if _is_text(file) else (file.size + 2) // 3 * 4


async def _source(book: Shelf, file: StoredFile) -> dict[str, str]:
    async with contextlib.aclosing(book.read(file)) as pieces:
        data = b"".join([piece async for piece in pieces])
    if len(data) != file.size:
        raise StoreFailed("A file that the server kept is not whole any more.")
    if not _is_text(file):
        written = await asyncio.to_thread(base64.b64encode, data)
        return {"type": "base64", "media_type": file.mime_type, "data": written.decode()}
    try:
        # A mark at the beginning is no part of the text.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file.id} is {file.mime_type} and not UTF-8; upload it again in that") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _filled(content: Any, sources: Sources) -> Any:
    if not isinstance(content, list) or not any(block["type"] in _HOLDERS for block in content):
        return content
    return [_with_source(block, sources) if block["type"] in _HOLDERS else block for block in content]


def _with_source(block: Block, sources: Sources) -> Block:
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "file":
        return {**block, "source": sources[source["file_id"]]}
    if isinstance(source, dict) and isinstance(source.get("content"), list):
        return {**block, "source": {**source, "content": _filled(source["content"], sources)}}
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        return {**block, "content": _filled(block["content"], sources)}
    return block
