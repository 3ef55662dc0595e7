"""Knows what is promised of transcripts in Redis beyond the contract: one round trip, pages, and that nothing expires."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from redis.crc import key_slot
from redis_operations import keys

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.adapters.redis.transcripts import RedisTranscripts

KEY = {"project_key": "p", "session_id": "s"}
SUB = {**KEY, "subpath": "subagents/agent-1"}


@pytest.fixture
def transcripts(connection: Connection) -> RedisTranscripts:
    return RedisTranscripts(connection, SystemClock())


async def test_an_append_is_one_script_once_the_session_is_listed(transcripts: RedisTranscripts, inside: Any) -> None:
    await transcripts.append(KEY, [{"uuid": "1"}])
    with inside.monitor() as monitor:
        inside.ping()
        while monitor.next_command()["command"] != "PING":
            pass
        for number in range(3):
            await transcripts.append(KEY, [{"uuid": f"more{number}"}], fence=number)
        inside.echo("done")
        asked = []
        while (seen := monitor.next_command())["command"] != "ECHO done":
            asked += [seen["command"].split()[0]] if seen["client_type"] != "lua" else []
    assert asked == ["EVALSHA"] * 3


async def test_nothing_expires_all_of_a_session_is_on_one_node_and_nothing_is_left_of_it(
    transcripts: RedisTranscripts, inside: Any, prefix: str
) -> None:
    for key in (KEY, SUB, {**KEY, "subpath": ":seen"}):
        await transcripts.append(key, [{"uuid": "1"}, {"type": "mode"}], fence=3)
    kept = [key for key in keys(inside, prefix) if "{transcript:" in key]
    assert len(kept) == 8
    assert {key_slot(key.encode()) for key in kept} == {key_slot(kept[0].encode())}
    assert {inside.pttl(key) for key in keys(inside, prefix)} == {-1}
    await transcripts.delete(SUB)
    assert await transcripts.list_subkeys(KEY) == [":seen"]
    await transcripts.delete(KEY)
    assert keys(inside, prefix) == []
    await transcripts.delete(SUB)
    assert keys(inside, prefix) == []


async def test_what_is_large_is_read_in_pages(transcripts: RedisTranscripts) -> None:
    entries = [{"uuid": str(number), "text": os.urandom(1 << 19).hex()} for number in range(12)]
    await transcripts.append(KEY, entries)
    assert await transcripts.load(KEY) == entries


async def test_what_is_deleted_while_it_is_read_is_not_mixed_with_what_comes_after(
    transcripts: RedisTranscripts,
) -> None:
    kinds = [[{"uuid": f"{kind}{number}", "text": os.urandom(1 << 18).hex()} for number in range(20)] for kind in "ab"]

    async def replace() -> None:
        for number in range(4):
            await transcripts.delete(KEY)
            await transcripts.append(KEY, kinds[number % 2])

    replacing = asyncio.create_task(replace())
    while not replacing.done():
        assert await transcripts.load(KEY) in (None, *kinds)
    await replacing


async def test_a_session_whose_writer_died_before_it_was_listed_is_listed_by_the_next(
    transcripts: RedisTranscripts, inside: Any, prefix: str
) -> None:
    await transcripts.append(KEY, [{"uuid": "1"}])
    head, index = f"{prefix}:{{transcript:p:s}}:head", f"{prefix}:{{transcripts:p}}:sessions"
    inside.hdel(head, "listed")
    inside.delete(index)
    assert await transcripts.list_sessions("p") == []
    await transcripts.append(KEY, [{"uuid": "2"}])
    assert [found["session_id"] for found in await transcripts.list_sessions("p")] == ["s"]
    inside.sadd(index, "one that is gone")
    assert len(await transcripts.list_sessions("p")) == 1
