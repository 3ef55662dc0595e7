"""Knows where the CLI keeps a session's transcripts on disk; it must not know where they come from or go to."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from pinnace.core.adapters.claude.spawn import Launch

Entry = Mapping[str, Any]
#: The CLI cuts longer names, and adds a hash.
LONGEST_NAME = 200
#: The type of the entry that stands for a subagent's description, which lies in a file of its own.
METADATA = "agent_metadata"


def config_of(launch: Launch) -> Path:
    """The CLI's own directory of a child."""
    return Path(launch.environment["CLAUDE_CONFIG_DIR"])


def write_transcripts(launch: Launch, work: Path, uuid: str, entries: Mapping[str, Sequence[Entry]]) -> None:
    """Write a session's transcripts, by subpath, to where the CLI that works in `work` looks for them."""
    project = config_of(launch) / "projects" / directory_name(work)
    for subpath, lines in entries.items():
        place = project / f"{uuid}.jsonl" if not subpath else (project / uuid / subpath).with_suffix(".jsonl")
        if subpath and not _is_safe(subpath):
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spoken = [line for line in lines if line.get("type") != METADATA]
        place.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in spoken))
        for described in (line for line in lines if line.get("type") == METADATA):
            text = orjson.dumps({name: value for name, value in described.items() if name != "type"})
            place.with_suffix(".meta.json").write_bytes(text)


def place_of(launch: Launch, path: str) -> tuple[str, str] | None:
    """Whose transcript a file of a child's is: the session's uuid and the subpath; None for any other file."""
    try:
        parts = Path(path).relative_to(config_of(launch) / "projects").parts
    except ValueError:
        return None
    if len(parts) == 2 and parts[1].endswith(".jsonl"):  # noqa: PLR2004 - a directory and a file
        return parts[1].removesuffix(".jsonl"), ""
    subpath = "/".join(parts[2:]).removesuffix(".jsonl")
    return (parts[1], subpath) if _is_safe(subpath) else None


def directory_name(work: Path) -> str:
    """The CLI's name for a directory that it works in; the Agent SDK's `project_key_for_directory` gives the same."""
    path = unicodedata.normalize("NFC", os.path.realpath(work))
    plain = re.sub(r"[^a-zA-Z0-9]", "-", path)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[:LONGEST_NAME]}-{_hash(path)}"


def _hash(text: str) -> str:
    """JavaScript's usual hash of a string, 32 bits with a sign, in base 36."""
    number = 0
    for character in text:
        number = (number * 31 + ord(character)) & 0xFFFFFFFF
    number = abs(number - (1 << 32) if number >= 1 << 31 else number)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def _is_safe(subpath: str) -> bool:
    parts = PurePosixPath(subpath).parts
    return bool(subpath) and all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in parts)
