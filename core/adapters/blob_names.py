"""Knows which names of files lead where they should, and in what pieces files are read; it must not know where files are kept."""

from __future__ import annotations

#: Bytes of a file that are in memory at once while it is read.
PIECE = 1 << 18


def checked(name: str) -> str:
    """Give a name back that reaches nothing but its own file.

    Raises:
        ValueError: it is none. Names are the server's own, so this is a mistake of its.
    """
    if not name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name!r} is no name of a blob")
    return name
