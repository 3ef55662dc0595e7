"""Knows which part of a file a request asks for (RFC 9110, sections 13 and 14); it must not know what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinnace.core.errors import RangeRefused

_ONE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """So many bytes of a file, from `start` on."""

    start: int
    length: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def part_of(size: int, asked: str | None, if_range: str | None, etag: str) -> Part | None:
    """Find the part of a file of `size` bytes that is asked for; None for all of it.

    Several ranges, other units and what is no range are ignored, as the RFC allows.

    Raises:
        RangeRefused: the part begins beyond the end.
    """
    # A strong comparison: a date, or a weak tag, is never equal.
    if asked is None or (if_range is not None and if_range.strip() != etag):
        return None
    found = _ONE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        length = min(int(last), size)
        start, end = size - length, size
    else:
        start, end = int(first), min(int(last or size - 1) + 1, size)
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        raise RangeRefused(size=size)
    return Part(start, end - start, size)


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has the file already: a weak comparison with each of its tags."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
