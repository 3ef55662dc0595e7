"""Knows that a file among the incoming ones becomes one batch, or is put aside with what is wrong, whatever dies when."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from clocks import HandClock

from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.memory.batches import MemoryBatches
from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.work_queue import MemoryWorkQueue
from pinnace.core.errors import StoreFailed
from pinnace.core.model.access import Project
from pinnace.core.model.batches import ItemResult, Verdict
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batch_drops import BatchDrops
from pinnace.core.usecases.batching import BatchBook
from pinnace.core.wire.anthropic.batches import result_line

PARAMS = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "ahoy"}]}
WRITTEN = 1_800_000_000.0
STAMP = "1800000000000"


class Yard:
    """A directory with incoming files, and the batches that they become."""

    def __init__(self, root: Path) -> None:
        self.root, self.clock = root, HandClock(WRITTEN + 60)
        self.book = BatchBook(MemoryBatches(), MemoryWorkQueue(), LocalBlobs(root), self.clock)
        directory = MemoryDirectory()
        self.directory = directory
        self.drops = BatchDrops(self.book, Access(directory, self.clock))

    def put(self, text: str | bytes, name: str = "prompts.jsonl", project_id: str = "p", at: float = WRITTEN) -> Path:
        path = self.root / "incoming" / project_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (at, at))
        return path

    def files(self) -> list[str]:
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in found if not name[0].isalnum() or len(name.split("/")[0]) < 32)

    async def batches(self) -> list[Any]:
        return list(await self.book.batches.page("p", 99))

    async def work(self) -> None:
        for delivery in await self.book.queue.take(99, self.clock.now(), self.clock.now() + 60):
            name = delivery.task.item.custom_id
            line = result_line(name, Verdict.SUCCEEDED, {"said": name})
            batch = await self.book.batches.finish(delivery.task, ItemResult(Verdict.SUCCEEDED, line, 5))
            await self.book.queue.done(delivery)
            assert batch is not None
            await self.book.end(batch)


@pytest.fixture
async def yard(tmp_path: Path) -> Yard:
    yard = Yard(tmp_path)
    await yard.directory.add_project(Project("p", "P", 0.0))
    return yard


def lines(*names: str) -> str:
    return "\n".join(json.dumps({"custom_id": name, "params": PARAMS}) for name in names) + "\n"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_file_becomes_a_batch_and_its_results_a_file_with_a_manifest(yard: Yard) -> None:
    yard.put(lines("a", "b"))
    await yard.drops.look()
    (batch,) = await yard.batches()
    assert (batch.total, yard.files()) == (2, [f"running/p/{STAMP}/prompts.jsonl"])
    await yard.work()
    await yard.drops.look()
    results = yard.root / f"results/p/prompts.{STAMP}.results.jsonl"
    manifest = json.loads((yard.root / f"results/p/prompts.{STAMP}.manifest.json").read_text())
    assert [line["custom_id"] for line in read(results)] == ["a", "b"]
    assert (manifest["id"], manifest["source"], manifest["cost_usd"]) == (batch.id, "prompts.jsonl", "0.000010")
    assert manifest["request_counts"]["succeeded"] == 2
    assert yard.root / manifest["results"] == results
    await yard.drops.look()
    assert len(await yard.batches()) == 1
    assert len(yard.files()) == 2


async def test_a_file_that_is_wrong_is_put_aside_with_the_lines_that_are(yard: Yard) -> None:
    good = json.dumps({"custom_id": "a", "params": PARAMS})
    yard.put(f'{good}\nnonsense\n\n[]\n{{"custom_id": "b c"}}\n{good}\n')
    await yard.drops.look()
    errors = read(yard.root / f"results/p/prompts.{STAMP}.errors.jsonl")
    assert [error["line"] for error in errors] == [2, 4, 5, 6]
    assert "is the name of line 1 too" in errors[-1]["error"]
    assert await yard.batches() == []
    assert (yard.root / f"failed/p/{STAMP}/prompts.jsonl").read_text().startswith(good)


@pytest.mark.parametrize(("project_id", "text", "told"), [("p", "\n\n", "no request"), ("q", lines("a"), "project")])
async def test_a_file_that_is_empty_or_of_nobody_is_put_aside_too(
    yard: Yard, project_id: str, text: str, told: str
) -> None:
    yard.put(text, project_id=project_id)
    await yard.drops.look()
    (error,) = read(yard.root / f"results/{project_id}/prompts.{STAMP}.errors.jsonl")
    assert error["line"] is None
    assert told in error["error"]


async def test_a_file_that_is_being_written_is_left_until_it_is_whole(yard: Yard) -> None:
    yard.put(lines("a")[:20], at=yard.clock.now() - 1)
    await yard.drops.look()
    assert yard.files() == ["incoming/p/prompts.jsonl"]
    yard.put(lines("a"), at=yard.clock.now() - 1)
    yard.clock.time += 5
    await yard.drops.look()
    assert len(await yard.batches()) == 1


async def test_what_is_no_file_of_requests_stays_where_it_is(yard: Yard) -> None:
    yard.put("x", name="notes.txt")
    yard.put("x", name=".hidden.jsonl")
    yard.put("x", name="deep/er.jsonl")
    (yard.root / "incoming" / "loose.jsonl").write_text("x")
    (yard.root / "incoming" / "p" / "link.jsonl").symlink_to("/etc/passwd")
    await yard.drops.look()
    assert all(name.startswith("incoming/") for name in yard.files())


async def test_the_same_name_later_is_another_batch(yard: Yard) -> None:
    yard.put(lines("a"))
    await yard.drops.look()
    yard.put(lines("a"), at=WRITTEN + 9)
    await yard.drops.look()
    assert len(await yard.batches()) == 2


class Dying(LocalBlobs):
    """Files that cannot be used any more after so many operations."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self.left = left

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreFailed("The machine died.")

    async def put(self, name: str, source: Path) -> None:
        self._spend()
        await super().put(name, source)

    async def move(self, source: str, target: str) -> bool:
        self._spend()
        return await super().move(source, target)

    async def copy(self, source: str, target: str) -> None:
        self._spend()
        await super().copy(source, target)

    async def delete(self, name: str) -> None:
        self._spend()
        await super().delete(name)


@pytest.mark.parametrize("survives", range(12))
async def test_wherever_a_machine_dies_the_next_look_goes_on_and_nothing_is_done_twice(
    yard: Yard, survives: int
) -> None:
    yard.put(lines("a", "b"))
    dying = Dying(yard.root, survives)
    crashing = BatchBook(yard.book.batches, yard.book.queue, dying, yard.clock)
    for _ in range(3):
        try:
            await BatchDrops(crashing, yard.drops.access).look()
            await yard.work()
        except StoreFailed:
            break
    # What a batch that was never ready left behind is cleared up after a while.
    yard.clock.time += 1_000
    for _ in range(3):
        await yard.book.sweep()
        await yard.drops.look()
        await yard.work()
    results = yard.root / f"results/p/prompts.{STAMP}.results.jsonl"
    assert [line["custom_id"] for line in read(results)] == ["a", "b"]
    assert len(await yard.batches()) == 1
    assert not [name for name in yard.files() if not name.startswith("results/")]
