"""Knows how a batch is created, shown, cancelled, ended and dropped; it must not know HTTP, or how an item is run."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from pinnace.core.errors import Conflicted, NotFound
from pinnace.core.model.access import Principal
from pinnace.core.model.batches import LIFETIME, Batch, BatchItem, Task
from pinnace.core.ports import Batches, Blobs, Clock, WorkQueue
from pinnace.core.usecases.batch_results import folder_of, requests_of, results_of, write_results
from pinnace.core.wire.anthropic.batches import RequestReader

log = logging.getLogger("pinnace.batches")

#: Batches that are looked after at a time.
AT_ONCE = 20
#: Most requests of a batch.
MOST = 100_000


@dataclass(frozen=True, slots=True)
class BatchBook:
    """All batches; each of `watchers` is told that there is work."""

    batches: Batches
    queue: WorkQueue
    blobs: Blobs
    clock: Clock
    most: int = MOST
    watchers: list[Callable[[], None]] = field(default_factory=list)

    async def create(self, principal: Principal, body: AsyncIterator[bytes], key: str | None, **fields: Any) -> Batch:
        """Create a batch of the requests of a body, which comes in pieces.

        Args:
            principal: Whose it is, and by which key.
            body: The JSON of `{"requests": [...]}`.
            key: The `Idempotency-Key`; what was created with it before is given again.
            fields: `profile`, `betas` and `api_version`, for all of its items.

        Raises:
            InvalidRequest: the body is wrong.
            Conflicted: the key was used for another body, or is being used.
        """
        now, project_id = self.clock.now(), principal.project_id
        batch_id = id_of(project_id, key) if key else f"msgbatch_{secrets.token_hex(12)}"
        made = Batch(project_id, batch_id, now, now + LIFETIME, key_id=principal.key_id, **fields)
        with tempfile.TemporaryDirectory(prefix="pinnace-batch-") as directory:
            path = Path(directory) / "requests.jsonl"
            with path.open("wb") as file:
                items, digest = await self._read(body, file)
            made = replace(made, total=len(items), fingerprint=digest if key else "")
            present = await self.batches.add(made)
            if present is not None:
                return _same(present, made)
            await self._fill(made, path, items)
        for tell in self.watchers:
            tell()
        return replace(made, is_ready=True)

    async def find(self, project_id: str, batch_id: str) -> Batch:
        """A batch of the project.

        Raises:
            NotFound: there is none of this id.
        """
        found = await self.batches.find(project_id, batch_id)
        if found is None or not found.is_ready:
            raise NotFound(f"There is no message batch {batch_id!r}.")
        return found

    async def cancel(self, batch: Batch) -> Batch:
        """Let nothing of a batch begin any more; what runs is stopped where it runs."""
        cancelled = await self.batches.cancel(batch.project_id, batch.id, self.clock.now()) or batch
        if cancelled.ended_at is None:
            await self.queue.forget(cancelled)
            await self.end(cancelled)
        return await self.find(batch.project_id, batch.id)

    async def results(self, batch: Batch) -> str:
        """The name of the file of results.

        Raises:
            NotFound: there is none yet, or not any more.
        """
        if batch.ended_at is None:
            raise NotFound(f"The batch {batch.id} has no results yet; its processing_status says when it has ended.")
        if batch.archived_at is not None:
            raise NotFound(f"The results of the batch {batch.id} are gone: they are kept for 29 days.")
        return results_of(batch, batch.counts)

    async def remove(self, batch: Batch) -> None:
        """Leave nothing of a batch that has ended.

        Raises:
            Conflicted: it has not.
        """
        if batch.ended_at is None:
            raise Conflicted(f"The batch {batch.id} has not ended; cancel it first, and delete it when it has.")
        await self._drop(batch)

    async def end(self, batch: Batch) -> bool:
        """End a batch of which nothing runs and nothing will begin; anybody may, and the result is the same."""
        now = self.clock.now()
        if not batch.may_end(now):
            return False
        if batch.counts.done < batch.total and await self.batches.running(batch.project_id, batch.id, now):
            return False
        with tempfile.TemporaryDirectory(prefix="pinnace-batch-") as directory:
            path = Path(directory) / "results.jsonl"
            with path.open("wb") as file:
                counts = await write_results(self.batches, self.blobs, batch, file)
            size = path.stat().st_size
            if not counts.same_results(batch.counts):
                # Somebody has ended it meanwhile, and dropped what this was made of.
                return False
            await self.blobs.take(results_of(batch, counts), path)
        if not await self.batches.end(batch, counts, size, self.clock.now()):
            return False
        await self._tidy(batch)
        return True

    async def sweep(self) -> None:
        """End what can end, drop results that are old, and drop what was never ready."""
        now = self.clock.now()
        for batch in await self.batches.due(now, AT_ONCE):
            if not batch.is_ready:
                await self._drop(batch)
            elif batch.ended_at is None:
                await self.end(batch)
            else:
                await self.blobs.delete_all(folder_of(batch.project_id, batch.id))
                await self.batches.tidy(batch)
                await self.batches.archive(batch, now)

    async def _read(self, body: AsyncIterator[bytes], file: IO[bytes]) -> tuple[list[BatchItem], str]:
        """Write a line a request, and say where each lies; the second value stands for the whole body."""
        reader, digest = RequestReader(self.most), hashlib.sha256()
        items: list[BatchItem] = []
        offset = 0

        def keep(requests: Sequence[tuple[str, bytes]]) -> None:
            nonlocal offset
            for name, line in requests:
                file.write(line + b"\n")
                items.append(BatchItem(len(items), name, offset, len(line)))
                offset += len(line) + 1

        async for piece in body:
            digest.update(piece)
            keep(reader.feed(piece))
            # A piece takes a millisecond, and a body of 256 MB has thousands of them.
            await asyncio.sleep(0)
        keep(reader.close())
        return items, digest.hexdigest()

    async def _fill(self, batch: Batch, path: Path, items: Sequence[BatchItem]) -> None:
        """Keep and queue what a batch asks for; one that cannot be is dropped."""
        try:
            await self.blobs.take(requests_of(batch.project_id, batch.id), path)
            await self.queue.put([Task(batch.project_id, batch.id, item) for item in items])
            await self.batches.open(batch)
        except BaseException:
            await asyncio.shield(self._drop(batch))
            raise

    async def _tidy(self, batch: Batch) -> None:
        await self.queue.forget(batch)
        await self.batches.tidy(batch)
        await self.blobs.delete(requests_of(batch.project_id, batch.id))

    async def _drop(self, batch: Batch) -> None:
        await self.queue.forget(batch)
        await self.blobs.delete_all(folder_of(batch.project_id, batch.id))
        await self.batches.remove(batch)


def _same(present: Batch, asked: Batch) -> Batch:
    """What was created before with the same key."""
    if not asked.fingerprint or present.fingerprint != asked.fingerprint:
        raise Conflicted("This Idempotency-Key was used for another batch; use a new one for each.")
    if not present.is_ready:
        raise Conflicted("A batch with this Idempotency-Key is still being created.", retry_after=2)
    return present


def id_of(project_id: str, key: str) -> str:
    """The id of the one batch that a project makes with an `Idempotency-Key`."""
    return f"msgbatch_{hashlib.sha256(f'{project_id}{chr(0)}{key}'.encode()).hexdigest()[:24]}"
