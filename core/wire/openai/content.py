"""Knows how the parts of a message become Anthropic's blocks; it must not know whose turn a message belongs to.

Text that is empty or only white space holds nothing, and the model's API refuses it: it is left out here, and whoever needs
at least one block says so.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.openai.fields import read_choice, read_object, read_string, refuse_others, require

Block = dict[str, Any]

_IMAGES: Final = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
# Not registered, but what many programs write.
_IMAGE_NAMES: Final = {"image/jpg": "image/jpeg"}
_PDF: Final = "application/pdf"
# How `%PDF-` begins in base64.
_PDF_BEGINS: Final = "JVBERi"
# The breakpoint is OpenAI's hint about its own cache; `cache_control` is what other servers in front of Claude take.
_MARKS: Final = frozenset({"type", "cache_control", "prompt_cache_breakpoint"})
_DETAILS: Final = frozenset({"auto", "high", "low", "original"})


def read_content(content: Any, kinds: frozenset[str], path: str) -> list[Block]:
    """Translate a message's content.

    Args:
        content: A string, a list of parts, or None.
        kinds: The types of parts that this message may hold.
        path: Where the content stands.

    Returns:
        The blocks; none where the content is null or says nothing.

    Raises:
        InvalidRequest: A part has a wrong shape, or a type that cannot be carried.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    if not isinstance(content, list):
        raise InvalidRequest("Input should be a string or a list of parts", path=path)
    blocks = [_read_part(part, kinds, f"{path}.{index}") for index, part in enumerate(content)]
    return [block for block in blocks if block is not None]


def _read_part(value: Any, kinds: frozenset[str], path: str) -> Block | None:
    part = read_object(value, path)
    kind = require(part, "type", path)
    if kind == "input_audio":
        raise InvalidRequest("Claude takes no audio; send a transcript as text", path=path)
    kind = read_choice(kind, kinds, f"{path}.type")
    refuse_others(part, {*_MARKS, kind}, path)
    block = _READERS[kind](part, path)
    if block is not None and part.get("cache_control") is not None:
        block["cache_control"] = read_cache_control(part["cache_control"], f"{path}.cache_control")
    return block


def read_cache_control(value: Any, path: str) -> Block:
    """Check a cache breakpoint in Anthropic's own form, which is carried as it is.

    Raises:
        InvalidRequest: It has another form.
    """
    mark = read_object(value, path)
    read_choice(mark.get("type"), ("ephemeral",), f"{path}.type")
    if mark.get("ttl") is not None:
        read_choice(mark["ttl"], ("5m", "1h"), f"{path}.ttl")
    return mark


def _read_text(part: Mapping[str, Any], path: str) -> Block | None:
    return _text(part, "text", path)


def _read_refusal(part: Mapping[str, Any], path: str) -> Block | None:
    return _text(part, "refusal", path)


def _text(part: Mapping[str, Any], name: str, path: str) -> Block | None:
    text = require(part, name, path)
    if not isinstance(text, str):
        raise InvalidRequest("Input should be a string", path=f"{path}.{name}")
    return {"type": "text", "text": text} if text.strip() else None


def _read_image(part: Mapping[str, Any], path: str) -> Block:
    path = f"{path}.image_url"
    image = read_object(part.get("image_url"), path)
    refuse_others(image, ("url", "detail"), path)
    if image.get("detail") is not None:
        read_choice(image["detail"], _DETAILS, f"{path}.detail")
    url = read_string(require(image, "url", path), f"{path}.url")
    if url.startswith("data:"):
        media_type, data = _split_data(url, f"{path}.url")
        media_type = _IMAGE_NAMES.get(media_type, media_type)
        if media_type not in _IMAGES:
            raise InvalidRequest("Images must be JPEG, PNG, GIF or WebP", path=f"{path}.url")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if not url.startswith("https://"):
        raise InvalidRequest("Input should be an https: or a data: URL", path=f"{path}.url")
    return {"type": "image", "source": {"type": "url", "url": url}}


def _read_file(part: Mapping[str, Any], path: str) -> Block:
    path = f"{path}.file"
    file = read_object(part.get("file"), path)
    refuse_others(file, ("file_data", "file_id", "filename"), path)
    if file.get("file_id") is not None:
        if file.get("file_data") is not None:
            raise InvalidRequest("Send either `file_id` or `file_data`", path=f"{path}.file_data")
        file_id = read_string(file["file_id"], f"{path}.file_id")
        return _titled({"type": "document", "source": {"type": "file", "file_id": file_id}}, file, path)
    data = read_string(require(file, "file_data", path), f"{path}.file_data")
    if data.startswith("data:"):
        media_type, data = _split_data(data, f"{path}.file_data")
    else:
        media_type = _PDF if data.startswith(_PDF_BEGINS) else ""
        _check_base64(data, f"{path}.file_data")
    if media_type != _PDF:
        raise InvalidRequest(
            "Files must be PDF; send any other text as a part of type `text`", path=f"{path}.file_data"
        )
    return _titled({"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": data}}, file, path)


def _titled(block: Block, file: Mapping[str, Any], path: str) -> Block:
    if file.get("filename") is not None:
        block["title"] = read_string(file["filename"], f"{path}.filename")
    return block


def _split_data(url: str, path: str) -> tuple[str, str]:
    """Take a data: URL apart (RFC 2397): its media type in lower case, and its base64."""
    heading, comma, data = url.removeprefix("data:").partition(",")
    media_type, *settings = heading.split(";")
    if not comma or "base64" not in settings:
        raise InvalidRequest("Input should be a data: URL of the form 'data:TYPE;base64,DATA'", path=path)
    _check_base64(data, path)
    return media_type.strip().lower(), data


def _check_base64(data: str, path: str) -> None:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        data = ""
    if not data:
        raise InvalidRequest("Input should be valid base64", path=path)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Block | None]]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": _read_image,
    "file": _read_file,
}
