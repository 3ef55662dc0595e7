"""Knows what a run of a session does beside the run: where it goes on, and that all of it is kept; it must not know its frames.

A session that a process of this server holds goes on there. Otherwise a new process is started on what was kept: the
transcript, and the directory, under the same path where that is free, because the model has seen it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import shutil
import uuid as uuids
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from pinnace.core.adapters.claude import guardian, history
from pinnace.core.adapters.claude.conversation import Conversation
from pinnace.core.adapters.claude.holding import Holding
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions
from pinnace.core.adapters.claude.pool import Pool
from pinnace.core.adapters.claude.process import CliProcess
from pinnace.core.adapters.claude.session_files import TASKS, place_of, read_tasks, write_tasks, write_transcripts
from pinnace.core.adapters.claude.spawn import Launch, Resumption, fill_workspace
from pinnace.core.errors import StoreFailed
from pinnace.core.model.run import RunRequest
from pinnace.core.ports import Clock, Entry, SessionLink
from pinnace.core.wire.transcripts import entry_of, last_of, unanswered

log = logging.getLogger("pinnace.session")

Block = Mapping[str, Any]
#: What is said where a turn holds results alone: the CLI's own words for it.
GO_ON = "Continue from where you left off."
#: Seconds within which a process that is ending has ended, and within which its directory has been cleared.
ENDING, CLEARING = 0.3, 2.0
#: Seconds within which the CLI writes down a message that it has told of.
WRITING = 2.0


class SessionRun:
    """One session of one run."""

    def __init__(
        self,
        link: SessionLink,
        pool: Pool,
        holding: Holding[Conversation],
        cli: CliOptions,
        agent: AgentOptions,
        clock: Clock,
    ) -> None:
        self._link, self._pool, self._holding = link, pool, holding
        self._cli, self._agent, self._clock = cli, agent, clock
        self._kept = False

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with."""
        return self._link.transcript is not None

    async def held(self, request: RunRequest, turn: Sequence[Block]) -> Conversation | None:
        """The conversation that a process of this server holds, if it can take this turn; one that cannot is ended."""
        held = self._holding.take(self.name)
        if held is None:
            return None
        results = {block["tool_use_id"] for block in turn if block["type"] == "tool_result"}
        current = (held.turns, held.setup) == (self._link.turns, setup_of(request))
        if current and held.awaited <= results:
            return held
        await self._pool.end(held.process)
        return None

    def begin(self, conversation: Conversation, request: RunRequest) -> None:
        """Have what the CLI writes down from now on be kept."""
        conversation.setup = setup_of(request)
        # What it wrote after the last turn's end is kept with this one.
        if conversation.process.mirrored is None:
            conversation.process.mirrored = []

    async def fill(self, process: CliProcess) -> Path:
        """Give a spare that was claimed for the first turn its directory."""
        return await self._fill(process.launch)

    async def resume(
        self, project: str, initialize: Mapping[str, Any], turn: list[dict[str, Any]]
    ) -> tuple[CliProcess, list[dict[str, Any]]]:
        """Start a process that goes on with the session; the second value is what of the turn is left to be said."""
        uuid = self._link.transcript or ""
        transcripts = {subpath: list(entries) for subpath, entries in (await self._link.entries()).items()}
        given = self._answers(transcripts.get("", []), turn)
        rest = [block for block in turn if block["type"] != "tool_result"]
        tasks: dict[str, str] = next((entry["files"] for entry in reversed(transcripts.pop(TASKS, []))), {})
        if given:
            entry = entry_of("user", {"content": given}, last_of(transcripts[""]), uuid, self._clock.now())
            transcripts[""].append(entry)
            await self._link.append(uuid, "", [entry])

        async def prepare(launch: Launch) -> Path:
            work = await self._fill(launch)
            await asyncio.to_thread(write_transcripts, launch, work, uuid, transcripts)
            await asyncio.to_thread(write_tasks, launch, uuid, tasks)
            return work

        process = await self._pool.resumed(project, initialize, Resumption(await self._place(), uuid), prepare)
        process.tasks = tasks
        return process, rest or [{"type": "text", "text": GO_ON}]

    async def written(self, process: CliProcess, calls: set[str]) -> None:
        """Wait until the CLI has written down the calls that end a turn without its end."""
        until = self._clock.monotonic() + WRITING
        while self._clock.monotonic() < until:
            said = orjson.dumps([mirror.entries for mirror in process.mirrored or ()])
            if all(call.encode() in said for call in calls):
                return
            await asyncio.sleep(0.01)
        log.warning("the CLI did not write down a tool call in time")

    async def keep(self, process: CliProcess) -> None:
        """Keep what was said and what the directory holds.

        Raises:
            Conflicted: somebody else holds the session by now.
            RequestTooLarge: the directory holds more than is kept.
            StoreFailed: it cannot be kept.
        """
        uuid = await self._said(process)
        if uuid is None or self._kept:
            return
        self._kept = True
        shared = self._agent.workspace is not None and self._agent.shared
        await self._link.keep(process.launch.mark, None if shared else process.launch.work)

    def hold(self, conversation: Conversation) -> None:
        """Leave the process waiting for the session's next turn."""
        if not self._kept:
            self._pool.give_back(conversation.process, reusable=False)
            return
        conversation.turns = self._link.turns
        self._holding.keep(self.name, conversation)

    async def _said(self, process: CliProcess) -> str | None:
        uuid = self._link.transcript
        mirrored, process.mirrored = process.mirrored or [], []
        for mirror in mirrored:
            place = place_of(process.launch, mirror.path)
            if place is None:
                log.warning("the CLI wrote a transcript at an unknown place")
                continue
            uuid, subpath = place
            await self._link.append(uuid, subpath, mirror.entries)
        if uuid is not None:
            await self._note_tasks(process, uuid)
        return uuid

    async def _note_tasks(self, process: CliProcess, uuid: str) -> None:
        """Keep the agent's list of tasks, where it has changed."""
        tasks = await asyncio.to_thread(read_tasks, process.launch, uuid)
        if tasks != process.tasks:
            entry = {"type": TASKS, "uuid": str(uuids.uuid4()), "files": tasks}
            await self._link.append(uuid, TASKS, [entry])
            process.tasks = tasks

    async def _fill(self, launch: Launch) -> Path:
        if self._agent.workspace is not None and self._agent.shared:
            return self._agent.workspace
        if await self._link.restore(launch.work):
            return launch.work
        return await asyncio.to_thread(fill_workspace, launch, self._agent)

    @staticmethod
    def _answers(entries: Sequence[Entry], turn: Sequence[Block]) -> list[Block]:
        waiting = unanswered(entries)
        return [block for block in turn if block["type"] == "tool_result" and block["tool_use_id"] in waiting]

    async def _place(self) -> str:
        """Where to work: in the same directory as ever, unless another server's process is still in it."""
        place = self._link.place or secrets.token_hex(8)
        directory = self._cli.run_directory / place
        began = self._clock.monotonic()
        while await asyncio.to_thread(directory.exists):
            waited = self._clock.monotonic() - began
            if waited > ENDING and await asyncio.to_thread(_is_lived_in, place):
                return secrets.token_hex(8)
            if waited > CLEARING:
                await asyncio.to_thread(_clear, directory)
            await asyncio.sleep(0.02)
        return place


def _is_lived_in(place: str) -> bool:
    return next(guardian.marked(place), None) is not None


def _clear(directory: Path) -> None:
    """Clear a directory that nobody lives in any more and no guardian clears, as after the power went."""
    gone = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}")
    try:
        directory.rename(gone)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFailed("The directory of this session cannot be cleared.") from error
    shutil.rmtree(gone, ignore_errors=True)


def setup_of(request: RunRequest) -> str:
    """A name for what a live process cannot change: its system prompt and the caller's tools."""
    body = request.body
    whole = [history.system_text(body.get("system")), body.get("tools") or []]
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()
