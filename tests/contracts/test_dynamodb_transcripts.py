"""Knows what is promised of transcripts in DynamoDB beyond the contract: few round trips, and nothing half done by who dies."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from stores import dynamodb_items, dynamodb_table
from table_watch import Died, Watch
from types_boto3_dynamodb import DynamoDBClient

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.dynamodb.passages import MOST, Line, fresh, passages_of
from pinnace.core.adapters.dynamodb.table import Table
from pinnace.core.adapters.dynamodb.transcripts import DynamoTranscripts
from pinnace.core.adapters.local.blobs import LocalBlobs
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.errors import StoreFailed
from pinnace.core.model.sessions import Entry
from pinnace.core.ports import Blobs

KEY = {"project_key": "p", "session_id": "s"}
SUB = {**KEY, "subpath": "subagents/agent-1"}


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def table(tmp_path: Path, watch: Watch) -> Table:
    return dynamodb_table(tmp_path, watch)


def transcripts_of(table: Table, blobs: Blobs | None = None) -> DynamoTranscripts:
    return DynamoTranscripts(table, SystemClock(), blobs)


def noise(size: int, uuid: str = "n") -> Entry:
    """An entry that cannot be compressed by more than half."""
    return {"uuid": uuid, "text": os.urandom(size // 2).hex()}


def files_in(place: Path) -> list[Path]:
    return [path for path in (place / "blobs").rglob("*") if path.is_file()]


async def test_what_an_append_costs_does_not_grow(table: Table, watch: Watch, tmp_path: Path) -> None:
    here, there = (transcripts_of(table, LocalBlobs(tmp_path / "blobs")) for _ in range(2))
    await here.append(KEY, [{"uuid": "0"}])
    assert watch.counted() == ["UpdateItem", "Query", "TransactWriteItems"]
    for number in range(1, 20):
        await here.append(KEY, [{"uuid": str(number)}])
    assert watch.counted() == ["TransactWriteItems"] * 19
    await here.append(KEY, [{"uuid": f"many{number}"} for number in range(5_000)])
    await here.append(KEY, [noise(100_000)])
    assert watch.counted() == ["TransactWriteItems", "BatchWriteItem", "TransactWriteItems"]
    await there.append(KEY, [{"uuid": "5"}, {"uuid": "another"}])
    assert watch.counted() == ["UpdateItem", "Query", "TransactWriteItems"]
    await here.append(KEY, [{"uuid": "another"}, {"uuid": "last"}])
    assert watch.counted() == ["TransactWriteItems", "Query", "TransactWriteItems"]
    found = await there.load(KEY) or []
    assert watch.counted() == ["GetItem", "Query", "BatchGetItem"]
    await there.append(KEY, [{"uuid": "after"}])
    assert watch.counted() == ["TransactWriteItems"]
    assert [entry["uuid"] for entry in found[-3:]] == ["n", "another", "last"]
    assert len(found) == 20 + 5_000 + 3


@pytest.mark.parametrize("kind", ["files", "items"])
async def test_what_no_item_holds_is_split_or_lies_in_a_file(table: Table, tmp_path: Path, kind: str) -> None:
    transcripts = transcripts_of(table, LocalBlobs(tmp_path / "blobs") if kind == "files" else None)
    entries = [noise(3_000_000, str(number)) for number in range(6)]
    await transcripts.append(KEY, entries[:1])
    await transcripts.append(KEY, entries[1:])
    assert await transcripts_of(table, LocalBlobs(tmp_path / "blobs")).load(KEY) == entries
    assert len(files_in(tmp_path)) == (2 if kind == "files" else 0)
    await transcripts.delete(KEY)
    assert dynamodb_items(tmp_path) == []
    assert files_in(tmp_path) == []


async def test_a_batch_that_its_writer_died_over_is_not_there_and_goes_with_the_rest(
    table: Table, watch: Watch, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    transcripts = transcripts_of(table, blobs)
    await transcripts.append(KEY, [{"uuid": "1"}])
    for entry in (noise(100_000), noise(3_000_000)):
        watch.dies_at = "TransactWriteItems"
        with pytest.raises(Died):
            await transcripts.append(KEY, [entry, {"uuid": "2"}])
        watch.dies_at = ""
        assert await transcripts_of(table, blobs).load(KEY) == [{"uuid": "1"}]
    await transcripts_of(table, blobs).append(KEY, [{"uuid": "2"}])
    assert await transcripts.load(KEY) == [{"uuid": "1"}, {"uuid": "2"}]
    await transcripts.delete(KEY)
    assert dynamodb_items(tmp_path) == []
    assert files_in(tmp_path) == []


async def test_a_deletion_that_somebody_died_over_is_finished_by_the_next(
    table: Table, watch: Watch, tmp_path: Path
) -> None:
    for ending in ("delete", "append", "guard"):
        transcripts = transcripts_of(table, MemoryBlobs())
        await transcripts.append(KEY, [{"uuid": "old"}, noise(50_000)], fence=7)
        await transcripts.append(SUB, [{"uuid": "old"}], fence=7)
        watch.dies_at = "BatchWriteItem"
        with pytest.raises(Died):
            await transcripts_of(table).delete(KEY)
        watch.dies_at = ""
        assert await transcripts.load(KEY) is None
        assert await transcripts.list_sessions("p") == []
        if ending == "append":
            await transcripts.append(KEY, [{"uuid": "old", "new": True}])
            assert await transcripts.load(KEY) == [{"uuid": "old", "new": True}]
        elif ending == "guard":
            await transcripts.guard(KEY, 1)
        assert await transcripts.list_subkeys(KEY) == []
        await transcripts.delete(KEY)
        assert dynamodb_items(tmp_path) == []


async def test_appends_and_deletions_at_once_leave_what_was_written_last(table: Table, tmp_path: Path) -> None:
    async def work(number: int) -> None:
        transcripts = transcripts_of(table)
        for turn in range(5):
            await transcripts.append(KEY, [{"uuid": f"{number}-{turn}"}, noise(40_000, f"n{number}-{turn}")])
            await transcripts.delete(KEY)

    await asyncio.gather(*map(work, range(4)))
    await transcripts_of(table).append(KEY, [{"uuid": "last"}])
    assert await transcripts_of(table).load(KEY) == [{"uuid": "last"}]
    await transcripts_of(table).delete(KEY)
    assert dynamodb_items(tmp_path) == []


async def test_a_subagent_that_was_deleted_begins_anew_wherever_it_is_written(
    table: Table, watch: Watch, tmp_path: Path
) -> None:
    here, there = transcripts_of(table), transcripts_of(table)
    for transcripts in (here, there):
        await transcripts.append(SUB, [{"uuid": "1"}, noise(50_000)])
    watch.dies_at = "BatchWriteItem"
    with pytest.raises(Died):
        await there.delete(SUB)
    watch.dies_at = ""
    assert await here.load(SUB) is None
    await here.append(SUB, [{"uuid": "1", "again": True}])
    assert await there.load(SUB) == [{"uuid": "1", "again": True}]
    await there.delete(SUB)
    await there.delete(SUB)
    await here.delete(KEY)
    assert dynamodb_items(tmp_path) == []


class Unsure:
    """A client whose every transaction is done, and is said to be under way the first time."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client, self._told = client, 0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def transact_write_items(self, **request: Any) -> Any:
        answer = self._client.transact_write_items(**request)
        self._told += 1
        if self._told % 2:
            error: Any = {"Error": {"Code": "TransactionInProgressException", "Message": "wait"}}
            raise ClientError(error, "TransactWriteItems")
        return answer


async def test_a_batch_that_counts_without_its_writer_s_hearing_so_is_kept_once(tmp_path: Path) -> None:
    table = dynamodb_table(tmp_path, through=lambda client: cast("DynamoDBClient", Unsure(client)))
    transcripts, entries = transcripts_of(table), [noise(50_000), {"no": "uuid"}]
    await transcripts.append(KEY, entries)
    await transcripts.append(KEY, [{"uuid": "2"}])
    assert await transcripts_of(table).load(KEY) == [*entries, {"uuid": "2"}]


async def test_a_part_that_is_missing_is_a_failure_and_no_gap(table: Table, tmp_path: Path) -> None:
    transcripts = transcripts_of(table)
    await transcripts.append(KEY, [noise(50_000)])
    pieces = [where for where in dynamodb_items(tmp_path) if where[1].startswith("data#")]
    await table.run(lambda session: session.delete_many(pieces))
    with pytest.raises(StoreFailed):
        await transcripts.load(KEY)


async def test_moments_of_sessions_are_never_the_same(table: Table) -> None:
    class Standing:
        def now(self) -> float:
            return 1_800_000_000.0

        def monotonic(self) -> float:
            return 0.0

    transcripts = DynamoTranscripts(table, Standing())
    for name in ("a", "b", "c", "a"):
        await transcripts.append({"project_key": "p", "session_id": name}, [{"type": "x"}])
    moments = [found["mtime"] for found in await transcripts.list_sessions("p")]
    assert moments == sorted(set(moments))


def test_as_many_entries_as_one_likes_are_as_many_passages_as_a_transaction_holds() -> None:
    lines = [Line(b"{}", number.to_bytes(12, "big")) for number in range(300_000)]
    passages = passages_of(lines)
    assert len(passages) <= MOST
    assert fresh(lines[::1000], b"".join(passage.prints for passage in passages)) == []
