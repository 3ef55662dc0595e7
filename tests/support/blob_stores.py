"""Knows every store of files that the contract tests open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stores import s3_bucket

from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.s3.blobs import S3Blobs
from pinnace.core.ports import Blobs

KINDS: dict[str, Callable[[Path], Blobs]] = {
    "memory": lambda _place: MemoryBlobs(),
    "local": lambda place: LocalBlobs(place / "blobs"),
    "s3": lambda place: S3Blobs(s3_bucket(place), "files"),
}
