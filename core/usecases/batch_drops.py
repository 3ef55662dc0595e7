"""Knows how a file that was put among the incoming ones becomes a batch, and its results a file; it must not know where they lie.

The names say how far a file is, so that whatever dies, the next look goes on:

    incoming/PROJECT/FILE.jsonl             put there by somebody
    taken/PROJECT/STAMP/FILE.jsonl          seen, and to become a batch; STAMP is when it was written, in milliseconds
    running/PROJECT/STAMP/FILE.jsonl        a batch, whose id is made of these names
    results/PROJECT/FILE.STAMP.results.jsonl and .manifest.json
    results/PROJECT/FILE.STAMP.errors.jsonl names the lines of one that is none; the file itself is in failed/PROJECT/STAMP/
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from pinnace.core.errors import Conflicted, NotFound, PinnaceError, Unauthenticated
from pinnace.core.model.batches import Batch
from pinnace.core.ports import BlobEntry
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batching import BatchBook, id_of
from pinnace.core.wire.anthropic.batches import batch_view, problem_of

log = logging.getLogger("pinnace.batches")

#: Seconds after which a file that is not written to counts as whole.
QUIET = 2.0
#: Files that are looked after at a time, and problems that are told of one.
AT_ONCE, MOST_PROBLEMS = 100, 1_000
_PROJECT = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ENDING = ".jsonl"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file on its way: whose it is, when it was written (ms since the epoch), and what it is called."""

    project_id: str
    stamp: str
    file: str

    def at(self, stage: str) -> str:
        return f"{stage}/{self.project_id}/{self.stamp}/{self.file}"

    def result(self, ending: str) -> str:
        return f"results/{self.project_id}/{self.file.removesuffix(_ENDING)}.{self.stamp}.{ending}"

    @property
    def key(self) -> str:
        """The name under which its batch is made once."""
        return f"file {self.stamp} {self.file}"


@dataclass(frozen=True, slots=True)
class BatchDrops:
    """Incoming files, each of them a batch of the project that its directory names."""

    book: BatchBook
    access: Access

    async def look(self) -> None:
        """Bring every file one step on, or several."""
        for entry in await self.book.blobs.listed("incoming", AT_ONCE):
            await self._take(entry)
        for stage, step in (("taken", self._begin), ("running", self._end)):
            for entry in await self.book.blobs.listed(stage, AT_ONCE):
                dropped = _dropped(entry.name)
                if dropped is not None:
                    await step(dropped)

    async def _take(self, entry: BlobEntry) -> None:
        _, project_id, *rest = entry.name.split("/")
        is_whole = self.book.clock.now() - entry.modified_at >= QUIET
        if len(rest) == 1 and rest[0].endswith(_ENDING) and _PROJECT.fullmatch(project_id) and is_whole:
            dropped = Dropped(project_id, str(int(entry.modified_at * 1000)), rest[0])
            await self.book.blobs.move(entry.name, dropped.at("taken"))

    async def _begin(self, dropped: Dropped) -> None:
        """Make the batch, once; a file that is none is put aside with a list of what is wrong."""
        try:
            principal = await self.access.principal_of(dropped.project_id, None)
        except Unauthenticated as error:
            await self._refuse(dropped, [{"line": None, "error": str(error)}])
            return
        problems = [problem async for problem in self._problems(dropped)]
        if problems:
            await self._refuse(dropped, problems)
            return
        try:
            await self.book.create(principal, self._body(dropped), dropped.key)
        except Conflicted:
            # Another server is at it, or died over it and is cleared up after.
            return
        except PinnaceError as error:
            await self._refuse(dropped, [{"line": None, "error": str(error)}])
            return
        await self.book.blobs.move(dropped.at("taken"), dropped.at("running"))

    async def _end(self, dropped: Dropped) -> None:
        """Write the results and the manifest of a batch that has ended."""
        try:
            batch = await self.book.find(dropped.project_id, id_of(dropped.project_id, dropped.key))
        except NotFound:
            # Somebody dropped the batch, and meant it.
            await self.book.blobs.delete(dropped.at("running"))
            return
        if batch.ended_at is None:
            return
        with contextlib.suppress(NotFound):
            await self.book.blobs.copy(await self.book.results(batch), dropped.result("results.jsonl"))
        await self._write(dropped.result("manifest.json"), orjson.dumps(_manifest(dropped, batch)))
        await self.book.blobs.delete(dropped.at("running"))

    async def _lines(self, dropped: Dropped) -> AsyncGenerator[bytes, None]:
        rest = b""
        async with contextlib.aclosing(self.book.blobs.read(dropped.at("taken"))) as pieces:
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line
                await asyncio.sleep(0)
        yield rest

    async def _problems(self, dropped: Dropped) -> AsyncGenerator[dict[str, Any], None]:
        """What is wrong with the lines, up to so many."""
        names: dict[str, int] = {}
        number = told = 0
        async with contextlib.aclosing(self._lines(dropped)) as lines:
            async for line in lines:
                number += 1
                problem = problem_of(line, names, number) if line.strip() else None
                if problem is not None:
                    told += 1
                    yield {"line": number, "error": problem}
                if told == MOST_PROBLEMS:
                    return
        if not names and not told:
            yield {"line": None, "error": "The file holds no request."}

    async def _body(self, dropped: Dropped) -> AsyncGenerator[bytes, None]:
        """The lines as the body of a request that creates a batch."""
        between = b'{"requests":['
        async with contextlib.aclosing(self._lines(dropped)) as lines:
            async for line in lines:
                if line.strip():
                    yield between + line
                    between = b","
        yield b"]}"

    async def _refuse(self, dropped: Dropped, problems: list[dict[str, Any]]) -> None:
        log.error("an incoming file is no batch", extra={"file": dropped.file, "project": dropped.project_id})
        lines = b"".join(orjson.dumps(problem) + b"\n" for problem in problems)
        await self._write(dropped.result("errors.jsonl"), lines)
        await self.book.blobs.move(dropped.at("taken"), dropped.at("failed"))

    async def _write(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="pinnace-batch-") as directory:
            path = Path(directory) / "file"
            path.write_bytes(content)
            await self.book.blobs.put(name, path)


def _dropped(name: str) -> Dropped | None:
    match name.split("/"):
        case [_, project_id, stamp, file]:
            return Dropped(project_id, stamp, file)
        case _:
            return None


def _manifest(dropped: Dropped, batch: Batch) -> Mapping[str, Any]:
    shown = batch_view(batch, "")
    kept = ("id", "request_counts", "cost_usd", "created_at", "ended_at", "archived_at")
    return {"source": dropped.file, "results": dropped.result("results.jsonl")} | {name: shown[name] for name in kept}
