"""Knows where the CLI keeps a session's transcripts on disk; it must not know where they come from or go to."""

from __future__ import annotations

import contextlib
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
#: A pipe is not waited for, and a link not followed.
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: The subpath of our own entries that hold the agent's list of tasks, which the CLI keeps in files beside its transcripts.
TASKS = "pinnace-tasks"
#: Bytes of such a list that are kept; one of a thousand tasks has a tenth of it.
LARGEST_LIST = 4 << 20


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


def read_tasks(launch: Launch, uuid: str) -> dict[str, str]:
    """The files of a session's list of tasks, by name; one that is larger than is kept is cut off at a file.

    The agent can write there, so no link is followed: it would have the server read what the agent cannot.
    """
    config = config_of(launch)
    found, size = dict[str, str](), 0
    with contextlib.ExitStack() as stack:
        place = _entered(stack, str(config.parent.parent), None)
        try:
            for part in (config.parent.name, config.name, "tasks", uuid):
                place = _entered(stack, part, place)
            names = sorted(name for name in os.listdir(place) if name.endswith(".json") and _is_safe(name))
            for name in names:
                with open(
                    os.open(name, os.O_RDONLY | _PLAIN, dir_fd=place), encoding="utf-8", errors="replace"
                ) as file:
                    text = file.read(LARGEST_LIST)
                size += len(text)
                if size >= LARGEST_LIST:
                    break
                found[name] = text
        except OSError:
            # There is no list, or it is none.
            return found
    return found


def _entered(stack: contextlib.ExitStack, name: str, parent: int | None) -> int:
    opened = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _PLAIN, dir_fd=parent)
    stack.callback(os.close, opened)
    return opened


def write_tasks(launch: Launch, uuid: str, files: Mapping[str, str]) -> None:
    """Write them to where the CLI that goes on with the session looks for them, before it starts."""
    directory = config_of(launch) / "tasks" / uuid
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in files.items():
        if _is_safe(name):
            (directory / name).write_text(text, encoding="utf-8")


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
