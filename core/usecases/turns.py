"""Knows one turn of a session that a call holds: what it goes on with, and how it is kept; it must not know how it is held."""

from __future__ import annotations

import asyncio
import contextlib
import uuid as uuids
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinnace.core.errors import RequestTooLarge
from pinnace.core.model.sessions import Session, overtaken
from pinnace.core.ports import Clock, Entry, Sessions, Transcripts, Workspaces
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.transcripts import Said, entry_of, last_of, said, standing, taken_back

#: Seconds that a session stays held by who died.
LEASE = 30.0


@dataclass(slots=True)
class OpenSession:
    """`SessionLink` of one call that holds a session; `session` is how it stands."""

    session: Session
    _sessions: Sessions
    _transcripts: Transcripts
    _workspaces: Workspaces
    _clock: Clock
    _tail: str | None = None
    _is_ahead: bool = False

    @property
    def name(self) -> str:
        return self.session.name

    @property
    def transcript(self) -> str | None:
        return self.session.transcript if self.session.tail is not None else None

    @property
    def turns(self) -> int:
        return self.session.turns

    @property
    def place(self) -> str | None:
        return self.session.place

    async def entries(self) -> Mapping[str, Sequence[Entry]]:
        found, self._is_ahead = await entries_of(self._transcripts, self.session)
        return found

    async def history(self) -> list[Said]:
        """What was said before this turn, oldest first."""
        found, self._is_ahead = await conversation_of(self._transcripts, self.session)
        return said(found)

    async def restore(self, directory: Path) -> bool:
        if self.session.workspace is None:
            return False
        await self._workspaces.restore(self.name, self.session.workspace, directory)
        return True

    async def append(self, transcript: str, subpath: str, entries: list[Entry]) -> None:
        await self._adopt(transcript)
        if not subpath:
            self._tail = last_of(entries) or self._tail
            if self._is_ahead:
                # What a call wrote that did not end well is taken back with the first words of the next.
                entries, self._is_ahead = [taken_back(self.session.tail), *entries], False
        await self._transcripts.append(key_of(self.session, transcript, subpath), entries, fence=self.session.fence)

    async def _adopt(self, transcript: str) -> None:
        """Note which transcript is this session's before there is anything of it, so that nothing is ever left behind."""
        before = self.session.transcript
        if before == transcript:
            return
        after = replace(self.session, transcript=transcript, tail=None, held_until=self._clock.now() + LEASE)
        if not await self._sessions.save(after):
            raise overtaken()
        self.session = after
        if before is not None:
            await self._transcripts.delete(key_of(self.session, before))

    async def keep(self, place: str, directory: Path | None) -> None:
        before, state, failure = self.session.workspace, self.session.workspace, None
        if directory is not None:
            try:
                state = await self._workspaces.save(self.name, before, directory)
            except RequestTooLarge as error:
                # What was said is kept all the same, and its owner is told.
                failure = error
        await self._count(place=place, workspace=state)
        if state is not None:
            await self._workspaces.settle(self.name, before, state)
        if failure is not None:
            raise failure

    async def remembered(
        self, events: AsyncGenerator[dict[str, Any], None], turn: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Pass the events of a plain message on, and keep it before its end is seen; `history` was asked for before."""
        assembler = MessageAssembler()
        async with contextlib.aclosing(events):
            async for event in events:
                assembler.feed(event)
                if event["type"] == "message_stop":
                    await self._remember(turn, assembler.message())
                yield event

    async def _remember(self, turn: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> None:
        transcript = self.transcript or str(uuids.uuid4())
        added: list[Entry] = []
        for message in (*turn, answer):
            role = "assistant" if message["role"] == "assistant" else "user"
            parent = added[-1]["uuid"] if added else self.session.tail
            added.append(entry_of(role, message, parent, transcript, self._clock.now()))
        await self.append(transcript, "", added)
        await self._count()

    async def _count(self, **fields: Any) -> None:
        """Keep that a turn was, with what else it changed.

        Raises:
            Conflicted: somebody else holds the session by now.
        """
        now = self._clock.now()
        tail = self._tail or self.session.tail
        fields |= {"turns": self.session.turns + 1, "tail": tail, "used_at": now, "held_until": now + LEASE}
        after = replace(self.session, **fields)
        if not await self._sessions.save(after):
            raise overtaken()
        self.session = after


async def conversation_of(transcripts: Transcripts, session: Session) -> tuple[list[Entry], bool]:
    """The entries of the conversation itself; the second value says whether there are more, which were never kept."""
    if session.transcript is None:
        return [], False
    return standing(await transcripts.load(key_of(session, session.transcript)) or [], session.tail)


async def entries_of(transcripts: Transcripts, session: Session) -> tuple[dict[str, list[Entry]], bool]:
    """All entries of a session by subpath, its subagents' too; the second value is `conversation_of`'s."""
    transcript = session.transcript
    if transcript is None:
        return {}, False
    subpaths = await transcripts.list_subkeys(key_of(session, transcript))
    aside = asyncio.gather(*(transcripts.load(key_of(session, transcript, subpath)) for subpath in subpaths))
    (own, is_ahead), others = await asyncio.gather(conversation_of(transcripts, session), aside)
    return {"": own} | {subpath: lines or [] for subpath, lines in zip(subpaths, others, strict=True)}, is_ahead


def key_of(session: Session, transcript: str, subpath: str = "") -> dict[str, str]:
    """Where a session's entries are."""
    key = {"project_key": session.project_name, "session_id": transcript}
    return key | {"subpath": subpath} if subpath else key
