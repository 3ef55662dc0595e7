"""Knows that a session is held by one call, outlives its holders, is kept whole or not at all, and ends when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clocks import HandClock
from house import SaidRunner

from pinnace.core.adapters.local.workspaces import PackedWorkspaces
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.memory.sessions import MemorySessions
from pinnace.core.adapters.memory.transcripts import MemoryTranscripts
from pinnace.core.errors import Conflicted, InvalidRequest, NotFound, RequestTooLarge
from pinnace.core.model.run import Profile
from pinnace.core.usecases.sessions import SessionBook
from pinnace.core.usecases.turns import LEASE, OpenSession

ENTRY = {"type": "user", "uuid": "u1", "message": {"role": "user", "content": "ahoy"}}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def book(clock: HandClock) -> SessionBook:
    workspaces = PackedWorkspaces(MemoryBlobs(), limit=1_000)
    return SessionBook(MemorySessions(), MemoryTranscripts(clock), workspaces, SaidRunner([], []), clock)


async def turn(held: OpenSession, work: Path | None = None, entry: dict[str, Any] | None = None) -> None:
    await held.append("t", "", [entry or ENTRY])
    await held.keep("place", work)


async def test_a_session_begins_with_its_first_call_and_counts_its_turns(book: SessionBook) -> None:
    for turns in range(3):
        async with book.opened("p", "chat", Profile.AGENT) as held:
            assert held.turns == turns
            await turn(held)
    session = await book.find("p", "chat")
    assert (session.turns, session.profile, session.fence) == (3, Profile.AGENT, 3)
    assert [one.content for one in await book.history(session)] == ["ahoy"]


async def test_a_dead_holder_lets_go_in_time_and_its_late_words_are_refused(
    book: SessionBook, clock: HandClock
) -> None:
    dead = book.opened("p", "chat", Profile.AGENT)
    held = await dead.__aenter__()
    await turn(held)
    clock.time += LEASE - 1
    with pytest.raises(Conflicted) as refused:
        async with book.opened("p", "chat", Profile.AGENT):
            pass
    assert refused.value.retry_after == 1.0
    clock.time += 1
    async with book.opened("p", "chat", Profile.AGENT) as heir:
        with pytest.raises(Conflicted):
            await held.append("t", "", [{**ENTRY, "uuid": "late"}])
        with pytest.raises(Conflicted):
            await held.keep("place", None)
        await turn(heir, entry={**ENTRY, "uuid": "u2"})
    await dead.__aexit__(None, None, None)
    session = await book.find("p", "chat")
    assert session.turns == 2
    assert [one.id for one in await book.history(session)] == ["u1", "u2"]


async def test_what_a_call_wrote_that_did_not_end_was_not_said(book: SessionBook) -> None:
    async def words() -> list[Any]:
        return [one.content for one in await book.history(await book.find("p", "chat"))]

    def entry(number: int) -> dict[str, Any]:
        return {"type": "user", "uuid": f"u{number}", "message": {"role": "user", "content": number}}

    for number in range(6):
        async with book.opened("p", "chat", Profile.AGENT) as held:
            assert [one["uuid"] for one in (await held.entries()).get("", [])] == [f"u{n}" for n in range(1, number, 2)]
            await held.append("t" if number else "first", "", [entry(number)])
            # Every other call dies here.
            if number % 2:
                await held.keep("place", None)
        assert await words() == list(range(1, number + 1, 2))
    session = await book.find("p", "chat")
    listed = await book.transcripts.list_sessions(session.name.partition("/")[0])
    assert [one["session_id"] for one in listed] == ["t"]
    await book.fork(session, "branch", "u3")
    assert [one.content for one in await book.history(await book.find("p", "branch"))] == [1, 3]


async def test_a_call_that_waits_gets_its_turn(book: SessionBook, clock: HandClock) -> None:
    async def second() -> int:
        async with book.opened("p", "chat", Profile.AGENT, wait=20.0) as held:
            return held.turns

    async with book.opened("p", "chat", Profile.AGENT) as held:
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.15)
        assert not waiting.done()
        await turn(held)
    assert await waiting == 1


async def test_a_caller_who_leaves_while_it_is_taken_does_not_hold_it(book: SessionBook) -> None:
    async def hold() -> None:
        async with book.opened("p", "chat", Profile.AGENT):
            await asyncio.sleep(60)

    for _ in range(20):
        holding = asyncio.create_task(hold())
        await asyncio.sleep(0)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        async with book.opened("p", "chat", Profile.AGENT):
            pass


async def test_a_session_stays_in_its_profile(book: SessionBook) -> None:
    async with book.opened("p", "chat", Profile.AGENT) as held:
        await turn(held)
    with pytest.raises(InvalidRequest, match="agent profile"):
        async with book.opened("p", "chat", Profile.MESSAGES):
            pass
    async with book.opened("p", "chat", Profile.AGENT):
        pass


async def test_files_that_are_too_much_are_told_of_and_what_was_said_is_kept(book: SessionBook, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(bytes(500))
    async with book.opened("p", "chat", Profile.AGENT) as held:
        await turn(held, tmp_path)
    (tmp_path / "large").write_bytes(bytes(501))
    async with book.opened("p", "chat", Profile.AGENT) as held:
        with pytest.raises(RequestTooLarge):
            await turn(held, tmp_path, {**ENTRY, "uuid": "u2"})
    session = await book.find("p", "chat")
    assert (session.turns, len(await book.history(session))) == (2, 2)
    assert [file.path for file in await book.files(session)] == ["small"]


async def test_a_session_whose_time_is_over_is_gone_with_all_that_it_had(
    book: SessionBook, clock: HandClock, tmp_path: Path
) -> None:
    await book.begin("p", "chat", ttl=100.0)
    (tmp_path / "f").write_text("x")
    async with book.opened("p", "chat", Profile.AGENT) as held:
        clock.time += 150.0
        # One that is held does not expire, and its use begins its time anew.
        await held.append("t", "", [ENTRY])
        await turn(held, tmp_path)
    clock.time += 99.0
    assert await book.sweep() == 0
    session = await book.find("p", "chat")
    clock.time += 1.0
    with pytest.raises(NotFound):
        await book.find("p", "chat")
    assert await book.page("p", 10, None) == []
    assert await book.sweep() == 1
    assert await book.transcripts.load({"project_key": session.name.partition("/")[0], "session_id": "t"}) is None
    async with book.opened("p", "chat", Profile.MESSAGES) as held:
        assert (held.turns, held.transcript) == (0, None)


async def test_a_fork_that_cannot_be_leaves_nothing(book: SessionBook) -> None:
    async with book.opened("p", "chat", Profile.AGENT) as held:
        await turn(held)
    session = await book.find("p", "chat")
    await book.begin("p", "taken")
    with pytest.raises(Conflicted, match="taken"):
        await book.fork(session, "taken", None)
    listed = await book.transcripts.list_sessions(session.name.partition("/")[0])
    assert [one["session_id"] for one in listed] == ["t"]


async def test_a_session_that_is_in_use_is_not_dropped_and_no_file_is_put_in(book: SessionBook, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    async with book.opened("p", "chat", Profile.AGENT) as held:
        with pytest.raises(Conflicted):
            await book.drop(held.session)
        with pytest.raises(Conflicted):
            await book.write_file(held.session, "f", tmp_path / "f")
        await turn(held)
    session = await book.find("p", "chat")
    await book.write_file(session, "f", tmp_path / "f")
    await book.drop(session)
    with pytest.raises(NotFound):
        await book.find("p", "chat")


async def test_a_session_that_a_call_began_in_vain_was_never_there(book: SessionBook) -> None:
    await book.begin("p", "asked for")
    for session_id in ("made up", "asked for"):
        async with book.opened("p", session_id, Profile.AGENT):
            pass
    assert [session.id for session in await book.page("p", 10, None)] == ["asked for"]


async def test_who_waits_for_a_session_that_was_begun_in_vain_begins_it(book: SessionBook) -> None:
    async def second() -> int:
        async with book.opened("p", "chat", Profile.AGENT, wait=5.0) as held:
            await turn(held)
            return held.session.fence

    async with book.opened("p", "chat", Profile.AGENT):
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.01)
    assert await waiting == 1
    assert (await book.find("p", "chat")).turns == 1


async def test_a_page_is_full_although_sessions_between_have_expired(book: SessionBook, clock: HandClock) -> None:
    for number in range(6):
        await book.begin("p", f"s{number}", ttl=10.0 if number % 2 else None)
    clock.time += 20
    assert [session.id for session in await book.page("p", 2, None)] == ["s0", "s2"]
    assert [session.id for session in await book.page("p", 2, "s2")] == ["s4"]


async def test_plain_messages_are_kept_before_their_end_is_seen(book: SessionBook) -> None:
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "m", "role": "assistant", "model": "x", "content": [], "usage": {}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "aye"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]

    async def answer() -> AsyncGenerator[dict[str, Any], None]:
        for event in events:
            yield event

    async with book.opened("p", "chat", Profile.MESSAGES) as held:
        async for event in held.remembered(answer(), [{"role": "user", "content": "ahoy"}]):
            kept = await book.history(replace(held.session))
            assert len(kept) == (2 if event["type"] == "message_stop" else 0)
    kept = await book.history(await book.find("p", "chat"))
    assert [one.role for one in kept] == ["user", "assistant"]
    assert kept[1].content[0]["text"] == "aye"
