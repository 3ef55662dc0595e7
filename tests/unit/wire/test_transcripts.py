"""Knows that a transcript reads as the conversation that it is, the way the Agent SDK reads it, and forks where it should."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from claude_agent_sdk import InMemorySessionStore, get_session_messages_from_store, project_key_for_directory
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import NotFound
from pinnace.core.wire.transcripts import entry_of, forked, last_of, said, standing, taken_back, unanswered

Entry = dict[str, Any]
SESSION = "11111111-2222-4333-8444-555555555555"
NOISE: list[Entry] = [
    {"type": "queue-operation", "operation": "enqueue", "sessionId": SESSION},
    {"type": "last-prompt", "sessionId": SESSION},
    {"type": "mode", "mode": "default"},
]


def transcript(*turns: tuple[str, Any]) -> list[Entry]:
    entries: list[Entry] = list(NOISE)
    for role, content in turns:
        message = {"content": content} | ({"id": f"msg_{len(entries)}", "model": "m"} if role == "assistant" else {})
        entries.append(entry_of(role, message, last_of(entries), SESSION, 1_000.0))
        entries.append(NOISE[1])
    return entries


def test_what_was_said_is_read_back() -> None:
    entries = transcript(("user", "ahoy"), ("assistant", [{"type": "text", "text": "aye"}]))
    first, second = said(entries)
    assert (first.role, first.content, first.at) == ("user", "ahoy", "1970-01-01T00:16:40.000Z")
    assert (second.role, second.content, second.model) == ("assistant", [{"type": "text", "text": "aye"}], "m")


def test_the_blocks_of_one_answer_are_put_together() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    entries = transcript(("user", "x"))
    for block in (thought, call):
        entries.append(
            entry_of("assistant", {"id": "msg_1", "model": "m", "content": [block]}, last_of(entries), SESSION, 1.0)
        )
    assert [one.content for one in said(entries)] == ["x", [thought, call]]
    assert said(entries)[1].id == entries[-1]["uuid"]
    assert unanswered(entries) == {"t1"}
    results = [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]
    assert unanswered([*entries, entry_of("user", {"content": results}, last_of(entries), SESSION, 1.0)]) == set()


@pytest.mark.parametrize("mark", ["isMeta", "isSidechain", "teamName"])
def test_what_is_not_of_the_conversation_is_not_shown(mark: str) -> None:
    entries = transcript(("user", "ahoy"))
    aside = entry_of("user", {"content": "aside"}, last_of(entries), SESSION, 1.0) | {mark: "yes"}
    assert [one.content for one in said([*entries, aside])] == ["ahoy"]


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(min_size=1, max_size=9)), min_size=1, max_size=8)
)
def test_the_agent_sdk_reads_the_same(turns: list[tuple[str, str]]) -> None:
    entries = transcript(*((role, [{"type": "text", "text": text}]) for role, text in turns))

    async def theirs() -> list[Any]:
        store: Any = InMemorySessionStore()
        key = {"project_key": project_key_for_directory("/"), "session_id": SESSION}
        await store.append(key, entries)
        return await get_session_messages_from_store(store, SESSION, "/")

    read = asyncio.run(theirs())
    assert [(one.id, one.role, one.content) for one in said(entries)] == [
        (message.uuid, message.type, message.message["content"]) for message in read
    ]


def test_a_fork_holds_what_was_said_up_to_a_message_under_a_name_of_its_own() -> None:
    entries = transcript(("user", "one"), ("assistant", "two"), ("user", "three"))
    other = str(uuid.uuid4())
    kept = forked(entries, other, said(entries)[1].id)
    assert [one.content for one in said(kept)] == ["one", "two"]
    assert {entry["sessionId"] for entry in kept if "sessionId" in entry} == {other}
    assert [one.content for one in said(forked(entries, other, None))] == ["one", "two", "three"]
    assert {entry["sessionId"] for entry in entries if "sessionId" in entry} == {SESSION}
    with pytest.raises(NotFound, match="history"):
        forked(entries, other, str(uuid.uuid4()))


def test_what_was_taken_back_does_not_stand() -> None:
    def at(*ids: int | None) -> list[Entry]:
        return [{"type": "user", "uuid": f"u{number}"} if number is not None else {"type": "mode"} for number in ids]

    assert standing(at(1, 2, None, 3), "u2") == (at(1, 2, None), True)
    assert standing(at(1, 2, None), "u2") == (at(1, 2, None), False)
    assert standing(at(1, 2), None) == ([], True)
    assert standing([], None) == ([], False)
    whole = [*at(1, None, 2, 3), taken_back("u1"), *at(4), taken_back("u1"), *at(5, None)]
    assert standing(whole, "u5") == (at(1, None, 5, None), False)
    assert standing([*at(1), taken_back(None), *at(2)], "u2") == (at(2), False)
