"""Knows files as JSON, for stores that keep text; it must not know a store."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from pinnace.core.model.files import FileState, StoredFile


def encode_file(file: StoredFile) -> str:
    """Write a file's record down."""
    return orjson.dumps(asdict(file)).decode()


def file_from(text: str | bytes) -> StoredFile:
    """Read a file's record."""
    fields = orjson.loads(text)
    return StoredFile(**fields | {"state": FileState(fields["state"])})
