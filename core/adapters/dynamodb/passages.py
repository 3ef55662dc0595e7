"""Knows how a batch of entries becomes compressed passages, and what tells an entry that comes again; it must not know a table.

A passage is lines of JSON, compressed together. Beside it stands a print of each entry's `uuid`: 12 bytes, so that two of a
transcript's 50,000 are the same by chance once in 10^19 transcripts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from pinnace.core.model.sessions import Entry

#: Bytes of a print.
PRINT = 12
#: Entries of a passage; their prints have 24 KB.
ENTRIES = 2_000
#: Passages of a batch: a transaction writes 100 items.
MOST = 90


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is kept; `print` is empty where it has no `uuid`."""

    text: bytes
    print: bytes


@dataclass(frozen=True, slots=True)
class Passage:
    """Some entries in their order, and the prints of those that have one."""

    data: bytes
    prints: bytes


def lines_of(entries: Iterable[Entry]) -> list[Line]:
    """Write entries down."""
    return [Line(orjson.dumps(entry), _print(entry.get("uuid"))) for entry in entries]


def fresh(lines: Iterable[Line], known: bytes) -> list[Line]:
    """The lines that are not known yet, each once; `known` is prints, one after the other."""
    found = list[Line]()
    wanted = {line.print for line in lines if line.print}
    seen = wanted & {known[at : at + PRINT] for at in range(0, len(known), PRINT)} if wanted else set[bytes]()
    for line in lines:
        if line.print and line.print in seen:
            continue
        seen.add(line.print)
        found.append(line)
    return found


def passages_of(lines: Sequence[Line]) -> list[Passage]:
    """Cut lines into passages."""
    size = max(ENTRIES, -(-len(lines) // MOST))
    cuts = [lines[begin : begin + size] for begin in range(0, len(lines), size)]
    return [
        Passage(zlib.compress(b"\n".join(line.text for line in cut)), b"".join(line.print for line in cut))
        for cut in cuts
    ]


def entries_from(data: bytes) -> list[Entry]:
    """Read the entries of a passage."""
    return [orjson.loads(text) for text in zlib.decompress(data).split(b"\n")]


def _print(uuid: Any) -> bytes:
    return blake2b(uuid.encode(), digest_size=PRINT).digest() if isinstance(uuid, str) else b""
