"""Knows where a batch's files lie and how its results become one file; it must not know when it ends."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator
from typing import IO

from pinnace.core.model.batches import Batch, Counts, Verdict
from pinnace.core.ports import Batches, Blobs
from pinnace.core.wire.anthropic.batches import name_in, result_line


def folder_of(project_id: str, batch_id: str) -> str:
    """What the names of a batch's files begin with; nothing of it is a caller's word."""
    return f"{hashlib.sha256(project_id.encode()).hexdigest()[:32]}/{batch_id}"


def requests_of(project_id: str, batch_id: str) -> str:
    """The name of the file with a line for each request."""
    return f"{folder_of(project_id, batch_id)}/requests"


def results_of(batch: Batch, counts: Counts) -> str:
    """The name of the file with a line for each result, which says whose results are in it.

    Two that end a batch at once may have seen different results, and must not write over each other's.
    """
    tally = "-".join(str(getattr(counts, verdict.value)) for verdict in Verdict)
    return f"{folder_of(batch.project_id, batch.id)}/results-{tally}"


async def write_results(batches: Batches, blobs: Blobs, batch: Batch, file: IO[bytes]) -> Counts:
    """Write a line for each item, in their order; those without a result are what is left when a batch ends."""
    tally = dict.fromkeys(Verdict, 0)
    async with contextlib.aclosing(batches.results(batch.project_id, batch.id)) as results:
        if batch.counts.done >= batch.total:
            async for _, result in results:
                file.write(result.document + b"\n")
                tally[result.verdict] += 1
            return _counts(tally)
        pending = await anext(results, None)
        number = 0
        async with contextlib.aclosing(_names(blobs, batch)) as names:
            async for name in names:
                if pending is not None and pending[0] == number:
                    file.write(pending[1].document + b"\n")
                    tally[pending[1].verdict] += 1
                    pending = await anext(results, None)
                else:
                    file.write(result_line(name, batch.left) + b"\n")
                    tally[batch.left] += 1
                number += 1
    return _counts(tally)


async def _names(blobs: Blobs, batch: Batch) -> AsyncGenerator[str, None]:
    """The names of the items, in their order."""
    rest = b""
    async with contextlib.aclosing(blobs.read(requests_of(batch.project_id, batch.id))) as pieces:
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield name_in(line)


def _counts(tally: dict[Verdict, int]) -> Counts:
    return Counts(**{verdict.value: count for verdict, count in tally.items()})
