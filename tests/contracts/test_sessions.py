"""Knows what every store of sessions and transcripts promises: one writer at a time, order, and nothing twice."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk.testing import run_session_store_conformance
from session_stores import KINDS, SessionStores, take_turns

from pinnace.core.errors import Conflicted
from pinnace.core.model.run import Profile
from pinnace.core.model.sessions import Session

KEY = {"project_key": "p", "session_id": "s"}


def session(session_id: str = "chat", project_id: str = "p", **fields: Any) -> Session:
    made = Session(project_id, session_id, f"uuid-{session_id}", created_at=1.0, used_at=1.0)
    return replace(made, **fields)


async def test_a_session_is_kept_as_it_is_and_once(kept: SessionStores) -> None:
    made = session(
        profile=Profile.AGENT, defaults={"model": "m", "tools": [{"name": "t"}]}, ttl=60.0, place="ab", parent="x"
    )
    assert await kept.sessions.add(made)
    assert not await kept.sessions.add(replace(made, uuid="other"))
    assert await kept.sessions.find("p", "chat") == made


async def test_another_project_s_session_is_not_there(kept: SessionStores) -> None:
    await kept.sessions.add(session())
    await kept.sessions.add(session(project_id="q"))
    assert await kept.sessions.find("other", "chat") is None
    assert await kept.sessions.acquire("other", "chat", 1.0, 2.0) is None
    assert [found.project_id for found in await kept.sessions.page("q", 10)] == ["q"]


async def test_sessions_are_listed_in_the_order_of_their_creation(kept: SessionStores) -> None:
    names = ["b", "a", "c", "ä/../x", "d"]
    for name in names:
        await kept.sessions.add(session(name))
    assert [found.id for found in await kept.sessions.page("p", 2)] == names[:2]
    assert [found.id for found in await kept.sessions.page("p", 10, "a")] == names[2:]
    assert await kept.sessions.page("p", 10, "no such") == []


async def test_one_holds_a_session_at_a_time_and_the_other_is_told_how_long(kept: SessionStores) -> None:
    await kept.sessions.add(session())
    held = await kept.sessions.acquire("p", "chat", 100.0, 160.0)
    assert held is not None
    with pytest.raises(Conflicted) as refused:
        await kept.sessions.acquire("p", "chat", 140.0, 200.0)
    assert refused.value.retry_after == 20.0
    assert await kept.sessions.save(replace(held, turns=1).released())
    again = await kept.sessions.acquire("p", "chat", 140.0, 200.0)
    assert again is not None
    assert (again.turns, again.fence) == (1, held.fence + 1)


async def test_who_lost_a_session_can_do_nothing_to_it(kept: SessionStores) -> None:
    await kept.sessions.add(session())
    dead = await kept.sessions.acquire("p", "chat", 100.0, 160.0)
    assert dead is not None
    assert await kept.sessions.renew(dead, 170.0)
    with pytest.raises(Conflicted):
        await kept.sessions.acquire("p", "chat", 169.0, 200.0)
    heir = await kept.sessions.acquire("p", "chat", 170.0, 200.0)
    assert heir is not None
    assert not await kept.sessions.renew(dead, 300.0)
    assert not await kept.sessions.save(replace(dead, turns=9))
    assert not await kept.sessions.remove(dead)
    assert await kept.sessions.find("p", "chat") == heir
    assert await kept.sessions.remove(heir)
    assert await kept.sessions.find("p", "chat") is None


async def test_what_expired_and_is_held_by_nobody_is_named(kept: SessionStores) -> None:
    for name, ttl, held_until in (
        ("old", 10.0, 0.0),
        ("held", 10.0, 50.0),
        ("young", 100.0, 0.0),
        ("eternal", None, 0.0),
    ):
        await kept.sessions.add(session(name, ttl=ttl, held_until=held_until))
    assert [found.id for found in await kept.sessions.expired(20.0, 10)] == ["old"]
    assert {found.id for found in await kept.sessions.expired(60.0, 10)} == {"old", "held"}
    assert len(await kept.sessions.expired(60.0, 1)) == 1


def test_no_turn_is_lost_between_processes(kept_shared: tuple[str, Path]) -> None:
    kind, place = kept_shared
    asyncio.run(KINDS[kind](place).sessions.add(session()))
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(take_turns, [(kind, place, 30)] * 3)
    found = asyncio.run(KINDS[kind](place).sessions.find("p", "chat"))
    assert found is not None
    assert (found.turns, found.fence) == (90, 90)


def test_no_turn_is_lost_between_threads(kept: SessionStores) -> None:
    asyncio.run(kept.sessions.add(session()))

    def one(_number: int) -> int:
        async def work() -> int:
            try:
                held = await kept.sessions.acquire("p", "chat", 1.0, 2.0)
            except Conflicted:
                return 0
            assert held is not None
            assert await kept.sessions.save(replace(held, turns=held.turns + 1).released())
            return 1

        return asyncio.run(work())

    with ThreadPoolExecutor(50) as threads:
        won = sum(threads.map(one, range(200)))
    found = asyncio.run(kept.sessions.find("p", "chat"))
    assert found is not None
    assert found.turns == won > 0


async def test_transcripts_are_a_session_store_of_the_agent_sdk(fresh: Callable[[], SessionStores]) -> None:
    def make() -> Any:
        return fresh().transcripts

    await run_session_store_conformance(make, skip_optional=frozenset({"list_session_summaries"}))


async def test_an_entry_that_comes_again_is_kept_once(kept: SessionStores) -> None:
    entries = [{"uuid": str(number), "type": "user", "n": number} for number in range(5)]
    await kept.transcripts.append(KEY, entries[:3])
    await kept.transcripts.append(KEY, [*entries[1:], {"type": "mode"}])
    await kept.transcripts.append(KEY, [{"type": "mode"}])
    assert await kept.transcripts.load(KEY) == [*entries, {"type": "mode"}, {"type": "mode"}]
    await kept.transcripts.append({**KEY, "subpath": "subagents/agent-1"}, entries[:1])
    assert await kept.transcripts.load({**KEY, "subpath": "subagents/agent-1"}) == entries[:1]


async def test_who_lost_a_session_writes_nothing_into_its_transcript(kept: SessionStores) -> None:
    await kept.transcripts.append(KEY, [{"uuid": "1"}], fence=1)
    await kept.transcripts.guard(KEY, 2)
    with pytest.raises(Conflicted):
        await kept.transcripts.append(KEY, [{"uuid": "late"}], fence=1)
    with pytest.raises(Conflicted):
        await kept.transcripts.append({**KEY, "subpath": "subagents/agent-1"}, [{"uuid": "late"}], fence=1)
    with pytest.raises(Conflicted):
        await kept.transcripts.guard(KEY, 1)
    await kept.transcripts.append(KEY, [{"uuid": "2"}], fence=2)
    assert await kept.transcripts.load(KEY) == [{"uuid": "1"}, {"uuid": "2"}]
    assert await kept.transcripts.list_subkeys(KEY) == []


async def test_a_deleted_transcript_leaves_nothing(kept: SessionStores) -> None:
    for subpath in ("", "subagents/agent-1"):
        await kept.transcripts.append({**KEY, **({"subpath": subpath} if subpath else {})}, [{"uuid": "1"}], fence=7)
    await kept.transcripts.delete(KEY)
    assert await kept.transcripts.load(KEY) is None
    assert await kept.transcripts.list_subkeys(KEY) == []
    assert await kept.transcripts.list_sessions("p") == []


async def test_fifty_thousand_entries_keep_their_order(kept: SessionStores) -> None:
    entries = [{"uuid": f"u{number}", "n": number, "text": "x" * 200} for number in range(50_000)]
    for start in range(0, len(entries), 5_000):
        await kept.transcripts.append(KEY, entries[start : start + 5_000])
    assert await kept.transcripts.load(KEY) == entries


async def test_a_hundred_megabytes_come_back_as_they_were(kept: SessionStores) -> None:
    entries = [{"uuid": f"u{number}", "text": chr(97 + number % 26) * 2**20} for number in range(100)]
    for entry in entries:
        await kept.transcripts.append(KEY, [entry])
    assert await kept.transcripts.load(KEY) == entries


async def test_two_who_write_at_once_lose_nothing(kept: SessionStores) -> None:
    async def write(who: str) -> None:
        for number in range(100):
            await kept.transcripts.append(KEY, [{"uuid": f"{who}{number}", "who": who, "n": number}])

    await asyncio.gather(write("a"), write("b"))
    written = await kept.transcripts.load(KEY) or []
    for who in "ab":
        assert [entry["n"] for entry in written if entry["who"] == who] == list(range(100))
