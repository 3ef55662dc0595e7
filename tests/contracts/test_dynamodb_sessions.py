"""Knows what is promised of sessions in DynamoDB beyond the contract: few round trips, and that they expire when they should."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from stores import dynamodb_items, dynamodb_table
from table_watch import Again, Watch
from types_boto3_dynamodb import DynamoDBClient

from pinnace.core.adapters.dynamodb.expiries import SHARDS
from pinnace.core.adapters.dynamodb.sessions import DynamoSessions
from pinnace.core.errors import Conflicted, RequestTooLarge
from pinnace.core.model.sessions import Session


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def sessions(tmp_path: Path, watch: Watch) -> DynamoSessions:
    return DynamoSessions(dynamodb_table(tmp_path, watch))


def session(session_id: str = "chat", **fields: Any) -> Session:
    made = Session("p", session_id, f"uuid-{session_id}", created_at=1.0, used_at=1.0)
    return replace(made, **fields)


async def test_what_a_turn_asks_of_its_session_is_one_round_trip_each(sessions: DynamoSessions, watch: Watch) -> None:
    await sessions.add(session(ttl=60.0))
    assert watch.counted() == ["UpdateItem", "TransactWriteItems"]
    held = await sessions.acquire("p", "chat", 2.0, 30.0)
    assert held is not None
    assert await sessions.renew(held, 40.0)
    assert await sessions.save(replace(held, used_at=20.0).released())
    await sessions.find("p", "chat")
    assert watch.counted() == ["UpdateItem"] * 3 + ["GetItem"]
    assert await sessions.remove(held)
    assert watch.counted() == ["GetItem", "TransactWriteItems"]


async def test_a_session_that_is_used_again_expires_later_and_is_found_then(
    sessions: DynamoSessions, watch: Watch
) -> None:
    for number in range(20):
        await sessions.add(session(f"s{number}", ttl=10.0))
    for number in range(10):
        held = await sessions.acquire("p", f"s{number}", 5.0, 8.0)
        assert held is not None
        assert await sessions.save(replace(held, used_at=9.0).released())
    assert {found.id for found in await sessions.expired(12.0, 100)} == {f"s{number}" for number in range(10, 20)}
    for number in range(10, 20):
        held = await sessions.acquire("p", f"s{number}", 13.0, 20.0)
        assert held is not None
        assert await sessions.remove(held)
    watch.counted()
    assert await sessions.expired(12.0, 100) == []
    assert watch.counted() == ["Query"] * SHARDS
    assert len(await sessions.expired(19.0, 100)) == 10


async def test_a_session_whose_time_is_cut_short_is_found_then(sessions: DynamoSessions, tmp_path: Path) -> None:
    await sessions.add(session("shorter", ttl=100.0))
    await sessions.add(session("limited"))
    for name in ("shorter", "limited"):
        held = await sessions.acquire("p", name, 1.0, 2.0)
        assert held is not None
        assert await sessions.save(replace(held, ttl=10.0).released())
        assert not await sessions.save(replace(held, ttl=5.0, fence=0))
    assert {found.id for found in await sessions.expired(11.0, 10)} == {"shorter", "limited"}
    for name in ("shorter", "limited"):
        held = await sessions.acquire("p", name, 20.0, 30.0)
        assert held is not None
        assert await sessions.remove(held)
    assert await sessions.expired(200.0, 10) == []
    assert [pk for pk, _ in dynamodb_items(tmp_path)] == ["counter#p"]


async def test_a_long_system_prompt_is_kept_and_one_that_no_item_holds_is_refused(sessions: DynamoSessions) -> None:
    long = session(defaults={"system": "You are a parrot. " * 50_000})
    assert await sessions.add(long)
    assert await sessions.find("p", "chat") == long
    with pytest.raises(RequestTooLarge):
        await sessions.add(session("other", defaults={"system": os.urandom(400_000).hex()}))


async def test_who_takes_a_session_and_does_not_hear_so_has_it(sessions: DynamoSessions, tmp_path: Path) -> None:
    await sessions.add(session())
    deaf = DynamoSessions(dynamodb_table(tmp_path, through=lambda client: cast("DynamoDBClient", Again(client))))
    held = await deaf.acquire("p", "chat", 1.0, 2.0)
    assert held is not None
    assert (held.fence, held.held_until) == (1, 2.0)
    with pytest.raises(Conflicted):
        await deaf.acquire("p", "chat", 1.0, 2.0)
