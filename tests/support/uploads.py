"""Knows where a server's uploaded files lie on its disk."""

from __future__ import annotations

from pathlib import Path


def lying(directory: Path) -> list[str]:
    """What lies on the disk of uploaded files, finished or not."""
    found = [*(directory / "data" / "files").rglob("*"), *(directory / "data" / "arriving").rglob("*")]
    return [path.name for path in found if path.is_file()]
