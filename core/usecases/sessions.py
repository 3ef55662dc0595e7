"""Knows how a session is held by one call at a time, goes on, and is kept, forked and dropped; it must not know HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid as uuids
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinnace.core.errors import Conflicted, InvalidRequest, NotFound, StoreFailed
from pinnace.core.model.run import Profile
from pinnace.core.model.sessions import LONGEST_ID, Session, WorkspaceFile, overtaken
from pinnace.core.ports import AgentRunner, Clock, Sessions, Transcripts, Workspaces
from pinnace.core.usecases.cancelling import surely
from pinnace.core.usecases.turns import LEASE, OpenSession, conversation_of, entries_of, key_of
from pinnace.core.wire.transcripts import Said, forked, last_of, said

log = logging.getLogger("pinnace.session")

#: Seconds between two renewals of a lease.
RENEWAL = 10.0
#: Seconds between two looks of a call that waits for another one.
LOOK = 0.1
#: Sessions that are dropped at a time.
SWEPT = 20


@dataclass(frozen=True, slots=True)
class SessionBook:
    """All sessions; `ttl` is how many seconds one is kept that does not say."""

    sessions: Sessions
    transcripts: Transcripts
    workspaces: Workspaces
    runner: AgentRunner
    clock: Clock
    ttl: float | None = None

    @contextlib.asynccontextmanager
    async def opened(
        self, project_id: str, session_id: str, profile: Profile, wait: float = 0.0
    ) -> AsyncIterator[OpenSession]:
        """Hold a session for one call, and go on holding it; one that is not there yet begins here, if the call keeps anything.

        Raises:
            Conflicted: another call holds it, also after `wait` seconds.
            InvalidRequest: it is of another profile.
        """
        taken, is_new = await self._taken(project_id, session_id, wait)
        held = OpenSession(taken, self.sessions, self.transcripts, self.workspaces, self.clock)
        renewing = asyncio.create_task(self._renew(held))
        try:
            if held.session.profile not in (None, profile):
                raise InvalidRequest(
                    f"this session is of the {held.session.profile} profile, and a session cannot change it",
                    path="x-session-id",
                )
            if held.session.transcript is not None:
                await self.transcripts.guard(key_of(held.session, held.session.transcript), held.session.fence)
            held.session = replace(held.session, profile=profile)
            yield held
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await asyncio.shield(self._let_go(held.session, is_new))

    async def begin(self, project_id: str, session_id: str, **fields: Any) -> Session:
        """Give a session, which begins here where it is not there yet; `fields` are what a new one has.

        Raises:
            InvalidRequest: the id is none.
        """
        return (await self._begun(project_id, session_id, fields))[0]

    async def _begun(self, project_id: str, session_id: str, fields: Mapping[str, Any]) -> tuple[Session, bool]:
        """Give a session, and whether it begins here."""
        if not 1 <= len(session_id) <= LONGEST_ID or not session_id.isprintable():
            raise InvalidRequest(f"must be 1 to {LONGEST_ID} printable characters", path="x-session-id")
        while True:
            present = await self.sessions.find(project_id, session_id)
            if present is not None and present.is_there(self.clock.now()):
                return present, False
            if present is not None:
                await self.drop(present)
            now = self.clock.now()
            given: dict[str, Any] = {"ttl": self.ttl, **fields}
            made = Session(project_id, session_id, uuids.uuid4().hex, now, now, **given)
            if await self.sessions.add(made):
                return made, True

    async def find(self, project_id: str, session_id: str) -> Session:
        """A session of the project.

        Raises:
            NotFound: there is none of this id.
        """
        found = await self.sessions.find(project_id, session_id)
        if found is None or not found.is_there(self.clock.now()):
            raise NotFound("There is no such session.")
        return found

    async def defaults(self, project_id: str, session_id: str) -> Mapping[str, Any]:
        """The fields that a call of this session need not repeat; none where it has not begun."""
        found = await self.sessions.find(project_id, session_id)
        return found.defaults if found is not None and found.is_there(self.clock.now()) else {}

    async def page(self, project_id: str, limit: int, after: str | None) -> Sequence[Session]:
        """Up to `limit` sessions, the oldest first; fewer only where there are no more."""
        found: list[Session] = []
        while True:
            now, kept = self.clock.now(), await self.sessions.page(project_id, limit, after)
            found += [session for session in kept if session.is_there(now)]
            if len(found) >= limit or len(kept) < limit:
                return found[:limit]
            after = kept[-1].id

    async def history(self, session: Session) -> list[Said]:
        """What was said, oldest first."""
        return said((await conversation_of(self.transcripts, session))[0])

    async def fork(self, session: Session, new_id: str, until: str | None) -> Session:
        """Begin another session with what was said in this one, up to a message or in all, and with its files.

        Raises:
            NotFound: there is no such message.
            Conflicted: the new id is taken.
        """
        transcript = str(uuids.uuid4())
        entries, _ = await entries_of(self.transcripts, session)
        kept = {subpath: forked(lines, transcript, None if subpath else until) for subpath, lines in entries.items()}
        now = self.clock.now()
        made = replace(
            session,
            id=new_id,
            uuid=uuids.uuid4().hex,
            transcript=transcript if entries else None,
            tail=last_of(kept.get("", [])),
            created_at=now,
            used_at=now,
            parent=session.id,
            place=None,
            fence=0,
            held_until=0.0,
        )
        for subpath, lines in kept.items():
            await self.transcripts.append(key_of(made, transcript, subpath), lines)
        if session.workspace is not None:
            await self.workspaces.copy(session.name, session.workspace, made.name)
        if not await self.sessions.add(made):
            await self._forget(made)
            raise Conflicted(f"There is a session {new_id!r} already.")
        return made

    async def drop(self, session: Session) -> None:
        """Leave nothing of a session.

        Raises:
            Conflicted: a call of it is running.
        """
        now = self.clock.now()
        held = await self.sessions.acquire(session.project_id, session.id, now, now + LEASE)
        if held is None:
            return
        await self.runner.forget(held.name)
        await self._forget(held)
        await self.sessions.remove(held)

    async def sweep(self) -> int:
        """Drop sessions whose time is over, and say how many."""
        gone = 0
        for session in await self.sessions.expired(self.clock.now(), SWEPT):
            with contextlib.suppress(Conflicted):
                await self.drop(session)
                gone += 1
        return gone

    async def files(self, session: Session) -> Sequence[WorkspaceFile]:
        """What the session's directory held after its last turn."""
        return [] if session.workspace is None else await self.workspaces.files(session.name, session.workspace)

    async def read_file(self, session: Session, path: str, target: Path) -> None:
        """Write one of the session's files to `target`.

        Raises:
            NotFound: there is no such file.
        """
        state = session.workspace
        if state is None or not await self.workspaces.read(session.name, state, path, target):
            raise NotFound("There is no such file in this session.")

    async def write_file(self, session: Session, path: str, source: Path) -> None:
        """Put a file into the session's directory, for its next turn.

        Raises:
            Conflicted: a call of the session is running.
        """
        now = self.clock.now()
        held = await self._acquired(session.project_id, session.id, 0.0)
        try:
            state = await self.workspaces.write(held.name, held.workspace, path, source)
            # A live process does not see what it did not write.
            await self.runner.forget(held.name)
            if not await self.sessions.save(replace(held, workspace=state, used_at=now)):
                raise overtaken()
            await self.workspaces.settle(held.name, held.workspace, state)
        finally:
            await asyncio.shield(self.sessions.renew(held, 0.0))

    async def _taken(self, project_id: str, session_id: str, wait: float) -> tuple[Session, bool]:
        """A session that is held now, and whether it begins here."""
        while True:
            _, is_new = await self._begun(project_id, session_id, {})
            taking = self._acquired(project_id, session_id, wait)
            # Not found where the call that began it kept nothing.
            with contextlib.suppress(NotFound):
                return await surely(taking, lambda: self._let_go_of(project_id, session_id)), is_new

    async def _let_go(self, session: Session, is_new: bool) -> None:
        """Hold a session no longer; one that a call began in vain was never there."""
        if is_new and session.transcript is None and session.turns == 0:
            await self.sessions.remove(session)
        else:
            await self.sessions.renew(session, 0.0)

    async def _acquired(self, project_id: str, session_id: str, wait: float) -> Session:
        until = self.clock.monotonic() + wait
        while True:
            now = self.clock.now()
            try:
                held = await self.sessions.acquire(project_id, session_id, now, now + LEASE)
            except Conflicted:
                if self.clock.monotonic() >= until:
                    raise
            else:
                if held is None:
                    raise NotFound("There is no such session.")
                return held
            await asyncio.sleep(LOOK)

    async def _let_go_of(self, project_id: str, session_id: str) -> None:
        """The caller left while the session was being taken."""
        present = await self.sessions.find(project_id, session_id)
        if present is not None:
            await self.sessions.renew(present, 0.0)

    async def _renew(self, held: OpenSession) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                if not await self.sessions.renew(held.session, self.clock.now() + LEASE):
                    return
            except StoreFailed:
                log.warning("a session could not be held longer; trying again")

    async def _forget(self, session: Session) -> None:
        if session.transcript is not None:
            await self.transcripts.delete(key_of(session, session.transcript))
        await self.workspaces.forget(session.name)
