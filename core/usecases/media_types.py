"""Knows what a file is by its first bytes, else by its sender's word; it must not know who sent it."""

from __future__ import annotations

import codecs
import re
from mimetypes import MimeTypes
from pathlib import PurePath

#: Bytes of a file that tell what it is.
HEAD = 4096
UNKNOWN, PLAIN, PDF = "application/octet-stream", "text/plain", "application/pdf"
#: RFC 6838: what a type may look like.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
#: Types beside `text/…` whose files are text.
_TEXTS = re.compile(
    r"application/(json|xml|javascript|yaml|toml|sql|x-\w*(json|yaml|sh|tex|python)\w*)|.*\+(json|xml|yaml)"
)
#: Control characters that no text has; escape begins the colours of a terminal.
_BINARY = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
#: From so many telling bytes, in tenths, a signature counts: two or fewer are in too many other files.
_SURE = 0.3
#: Where a signature is that of many kinds of files, the one that they all are.
_ZIP = "application/zip"
_NAMES = MimeTypes()


def media_type(head: bytes, given: str | None, filename: str | None) -> str:
    """Name the type of a file that begins with `head`; `given` is what its sender called it."""
    told = essence(given)
    if head.startswith(b"%PDF-"):
        return PDF
    if _is_text(head):
        named = _by_name(filename)
        return next(
            (kind for kind in (told, named) if kind and (kind.startswith("text/") or _TEXTS.fullmatch(kind))), PLAIN
        )
    known = _by_signature(head)
    if not known:
        # Bytes that are no text and no PDF are not made so by a word.
        return UNKNOWN if told is None or told.startswith("text/") or told == PDF else told
    suffix = PurePath(filename or "").suffix.lower()
    named = next((kind for kind, ending in known if ending == suffix), None)
    kinds = [kind for kind, _ in known]
    return next((kind for kind in (told, named, _ZIP) if kind in kinds), kinds[0])


def essence(given: str | None) -> str | None:
    """The type alone, without parameters; None where it is none."""
    kind = (given or "").partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) and kind != UNKNOWN else None


def extension(kind: str) -> str:
    """What the names of such files end with, with the dot; empty where nobody knows."""
    return _NAMES.guess_extension(kind) or ""


def _by_name(filename: str | None) -> str | None:
    return None if filename is None else _NAMES.guess_type(filename)[0]


def _is_text(head: bytes) -> bool:
    if _BINARY.search(head):
        return False
    try:
        # The last character may be cut in two.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _by_signature(head: bytes) -> list[tuple[str, str]]:
    """The types of the longest signature that fits, each with the ending of its names."""
    import puremagic  # noqa: PLC0415 - it reads a table of 200 KB, which few requests need

    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    sure = [match for match in found if match.confidence >= _SURE and essence(match.mime_type)]
    return [(match.mime_type, match.extension) for match in sure if match.byte_match == sure[0].byte_match]
