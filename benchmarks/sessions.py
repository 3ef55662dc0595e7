"""Knows what a session's next turn costs: in a live process, from what was kept, and where the client sends all of it again.

python -m benchmarks.sessions [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.candidates import endpoint, pinnace
from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.local.workspaces import PackedWorkspaces
from pinnace.core.model.run import Profile
from pinnace.core.model.sessions import Session
from pinnace.core.settings import Settings
from pinnace.core.stores.sessions import open_sessions
from pinnace.core.usecases.turns import key_of
from pinnace.core.wire.transcripts import entry_of, last_of
from pinnace.core.wiring import system_clock

ROOT = Path(__file__).parents[1]
ENTRIES = (10, 100, 1_000, 10_000)
#: A history of more messages is not sent again: it takes minutes.
SENT_AGAIN = 1_000
ROUNDS = 3
MODEL = "claude-sonnet-5-5"
FILES, FILE_BYTES = 100, 1 << 20


@dataclass(slots=True)
class Row:
    """Milliseconds to the first delta, medians; None where it was not measured."""

    entries: int
    kept: float
    live: float
    other: float
    again: float | None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write docs/performance-sessions.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, endpoint(Path(directory) / "endpoint") as upstream:
        rows = [measure(upstream, Path(directory), entries) for entries in ENTRIES]
        files = asyncio.run(workspace(Path(directory)))
    text = render(rows, files)
    print(text)
    if chosen.write:
        (ROOT / "docs" / "performance-sessions.md").write_text(text)


def measure(upstream: str, directory: Path, entries: int) -> Row:
    """Let servers that know nothing but the stores take the next turn, and then the one after it."""
    place = directory / f"of{entries}"
    names = [f"session {number}" for number in range(ROUNDS)]
    asyncio.run(keep(place / "data", names, entries))
    kept, live, other, again = [], [], [], []
    with (
        pinnace(upstream, place, prefix="/sdk", spares=1) as (url, _),
        pinnace(upstream, place, prefix="/sdk", spares=1) as (beside, _),
    ):
        for name in names:
            kept.append(first_delta(url, [user("next\n::text ok")], name))
            live.append(first_delta(url, [user("next\n::text ok")], name))
            time.sleep(1)
            other.append(first_delta(beside, [user("next\n::text ok")], name))
            # The next one must not wait for a core that starts a spare.
            time.sleep(1)
        if entries <= SENT_AGAIN:
            history = [message(number) for number in range(entries)]
            for number in range(ROUNDS):
                again.append(first_delta(url, [*history, user(f"next {number}\n::text ok")]))
                time.sleep(1)
    middle = statistics.median
    row = Row(entries, middle(kept), middle(live), middle(other), middle(again) if again else None)
    print(row)
    return row


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def message(number: int) -> dict[str, Any]:
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": [{"type": "text", "text": f"This is what was said as number {number}."}]}


async def keep(data: Path, names: list[str], entries: int) -> None:
    """Keep sessions whose transcript has so many entries."""
    clock = system_clock()
    stores = open_sessions(Settings(data_dir=data), clock)
    for name in names:
        transcript, said = str(uuid.uuid4()), list[dict[str, Any]]()
        for number in range(entries):
            one = message(number)
            more = {"id": f"msg_{number}", "model": MODEL, "type": "message"} if number % 2 else {}
            said.append(
                entry_of(one["role"], {"content": one["content"]} | more, last_of(said[-1:]), transcript, clock.now())
            )
        session = Session(
            "default",
            name,
            uuid.uuid4().hex,
            clock.now(),
            clock.now(),
            Profile.AGENT,
            turns=1,
            transcript=transcript,
            tail=said[-1]["uuid"],
        )
        await stores.sessions.add(session)
        await stores.transcripts.append(key_of(session, transcript), said)
    await stores.close()


def first_delta(url: str, messages: list[dict[str, Any]], session: str | None = None) -> float:
    """Milliseconds until the first words."""
    headers = {} if session is None else {"x-session-id": session}
    body = {"model": MODEL, "max_tokens": 100, "stream": True, "messages": messages}
    began = time.perf_counter()
    first = 0.0
    with httpx.stream("POST", f"{url}/v1/messages", json=body, headers=headers, timeout=300) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and not first and json.loads(line[6:])["type"] == "content_block_delta":
                first = time.perf_counter() - began
        if answer.status_code != httpx.codes.OK or not first:
            raise RuntimeError(f"status {answer.status_code}")
    return first * 1000


async def workspace(directory: Path) -> dict[str, float]:
    """Milliseconds to keep and to restore 100 MB of files that cannot be compressed."""
    work, again = directory / "work", directory / "again"
    work.mkdir()
    again.mkdir()
    for number in range(FILES):
        (work / f"file{number}").write_bytes(os.urandom(FILE_BYTES))
    kept = PackedWorkspaces(LocalBlobs(directory / "blobs"))
    found: dict[str, float] = {}

    async def timed(what: str, work: Any) -> Any:
        began = time.perf_counter()
        result = await work
        found[what] = (time.perf_counter() - began) * 1000
        return result

    first = await timed("the first time", kept.save("a/b", None, work))
    await timed("where nothing changed", kept.save("a/b", first, work))
    (work / "file7").write_bytes(os.urandom(FILE_BYTES))
    second = await timed("where one file of 1 MB changed", kept.save("a/b", first, work))
    await timed("to restore all of it", kept.restore("a/b", second, again))
    return found


def _line(row: Row) -> str:
    again = "-" if row.again is None else f"{row.again:.0f}"
    return f"| {row.entries:,} | {row.live:.0f} | {row.other:.0f} | {row.kept:.0f} | {again} |"


def render(rows: list[Row], files: dict[str, float]) -> str:
    table = "\n".join(_line(row) for row in rows)
    shown = "\n".join(f"| {what} | {milliseconds:.0f} |" for what, milliseconds in files.items())
    growth = (rows[-1].kept - rows[0].kept) / (rows[-1].entries - rows[0].entries)
    made = f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, {platform.machine()}, {platform.system()}"
    return f"""# What a session's next turn costs

Generated by `python -m benchmarks.sessions --write` on {made}, Python {platform.python_version()}, {os.cpu_count()} cores.
Milliseconds until the first words of an agent's answer, medians of {ROUNDS}, by the entries of the transcript. The real CLI,
against the scripted endpoint, which answers at once.

| entries | live process | another server's | from what was kept | all of it sent again |
|---|---|---|---|---|
{table}

From what was kept: a new process is started on the transcript and the files, as after the server was killed. Another
server's: the same, by a second server on the same machine while a process of the first one still holds the session. From
what was kept it grows by {growth * 1000:.0f} µs an entry. Sent again: the same messages in one call without a session, to a
spare that takes them turn by turn.

## Files

A directory of {FILES} files of 1 MB that cannot be compressed, on the local disk.

| to keep it | ms |
|---|---|
{shown}
"""


if __name__ == "__main__":
    main()
