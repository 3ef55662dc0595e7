"""Knows one child: its pipes, the questions asked of it and its end; it must not know what its frames mean for a caller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pinnace.core.adapters.claude import frames, guardian
from pinnace.core.adapters.claude.channel import Channel
from pinnace.core.adapters.claude.frames import ControlResponse, Frame, FrameError, FrameReader, Mirror
from pinnace.core.adapters.claude.spawn import Launch, make_directories
from pinnace.core.adapters.claude.watch import Watch
from pinnace.core.errors import CliBroke, CliUnavailable

log = logging.getLogger("pinnace.cli")

READ_BYTES = 256 * 1024
#: Frames that wait to be taken. A caller that reads slowly stops the CLI here instead of filling the memory.
INBOX = 2048
STDERR_BYTES = 4096
#: Fills the directories of a child before it starts, and says where it works.
Prepare = Callable[[Launch], Awaitable[Path]]


class CliProcess:
    """One child of the server.

    `project` is whom it serves, None while it is parked; `turns` counts what it has answered; `born` is a monotonic time.
    """

    def __init__(self, launch: Launch, channel: Channel, watch: Watch, born: float) -> None:
        self.launch = launch
        self.channel = channel
        self.born = born
        self.idle_since = born
        self.project: str | None = None
        self.turns = 0
        self.greeting: Mapping[str, Any] = {}
        self.totals: Mapping[str, Any] = {}
        #: What it wrote into its transcripts, where somebody keeps that.
        self.mirrored: list[Mirror] | None = None
        #: The list of tasks that was kept of the session last.
        self.tasks: dict[str, str] = {}
        self._watch = watch
        self._child: asyncio.subprocess.Process | None = None
        self._inbox: asyncio.Queue[Frame | CliBroke] = asyncio.Queue(INBOX)
        self._asked: dict[str, asyncio.Future[ControlResponse]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stderr = b""
        self._over = False

    @property
    def alive(self) -> bool:
        """Whether it runs and its output makes sense so far."""
        return self._child is not None and self._child.returncode is None and not self._over

    @property
    def pid(self) -> int:
        """The child's process id, 0 before it started."""
        return self._child.pid if self._child else 0

    async def start(self, seconds: float, prepare: Prepare | None = None, **initialize: Any) -> None:
        """Start it and wait until it answers.

        A spare starts in an empty directory and learns by its claim what `prepare` and `initialize` give here: the directory
        to work in, and the fields of the first `initialize`, which no later one can change.

        Raises:
            CliUnavailable: it cannot be started, or does not answer within `seconds`.
        """
        # Listed before there is anything of it: a server that is killed in the middle of a start leaves nothing either.
        self._watch.add(self.launch.mark, 0, self.launch.directory)
        try:
            make_directories(self.launch)
            work = await prepare(self.launch) if prepare else self.launch.work
            self._child = await asyncio.create_subprocess_exec(
                *self.launch.command,
                env=dict(self.launch.environment),
                cwd=work,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException as error:
            shutil.rmtree(self.launch.directory, ignore_errors=True)
            self._watch.remove(self.launch.mark)
            if not isinstance(error, OSError):
                raise
            log.exception("the CLI cannot be started")
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise CliUnavailable(f"The Claude Code CLI cannot be started: {reason}.") from error
        self._watch.add(self.launch.mark, self._child.pid, self.launch.directory)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]
        try:
            reply = await self.ask("initialize", seconds=seconds, **initialize)
        except CliBroke as error:
            log.error("the CLI does not answer", extra={"stderr": self._stderr.decode(errors="replace")})
            await self.close()
            raise CliUnavailable("The Claude Code CLI was started and does not answer.") from error
        self.greeting = reply.response

    def send(self, *sent: Mapping[str, Any]) -> None:
        """Write frames; they are lost without a word where the child is gone, which `take` then tells."""
        if self._child and self._child.stdin and not self._child.stdin.is_closing():
            self._child.stdin.write(frames.encode(sent))

    async def flush(self) -> None:
        """Wait until the child has taken most of what was written."""
        if self._child and self._child.stdin:
            with contextlib.suppress(ConnectionError):
                await self._child.stdin.drain()

    def expect(self, request_id: str) -> asyncio.Future[ControlResponse]:
        """Await the answer to a control request whose frame is sent separately."""
        future: asyncio.Future[ControlResponse] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = future
        return future

    async def ask(self, subtype: str, *, seconds: float, **fields: Any) -> ControlResponse:
        """Send a control request and wait for its answer.

        Raises:
            CliBroke: the child ended, or did not answer within `seconds`.
        """
        request_id = new_id()
        answer = self.expect(request_id)
        self.send(frames.control(request_id, subtype, **fields))
        return await self.answer(answer, seconds)

    async def answer(self, future: asyncio.Future[ControlResponse], seconds: float) -> ControlResponse:
        """Wait for an expected answer; raises as `ask` does."""
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError as error:
            raise CliBroke("The Claude Code CLI stopped answering.") from error

    async def take(self, seconds: float) -> Frame:
        """Take the next frame.

        Raises:
            CliBroke: the child ended, wrote garbage, or said nothing for `seconds`.
        """
        if self._inbox.empty():
            try:
                async with asyncio.timeout(seconds):
                    frame = await self._inbox.get()
            except TimeoutError as error:
                raise CliBroke(f"The Claude Code CLI said nothing for {seconds:.0f} seconds.") from error
        else:
            frame = self._inbox.get_nowait()
        if isinstance(frame, CliBroke):
            self._over = True
            raise frame
        return frame

    def resident(self) -> int:
        """Its resident memory in MiB; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024)

    async def close(self) -> None:
        """End it, and everything that it started, and remove its directory; never raises, may be called twice."""
        self._over = True
        child = self._child
        if child is not None:
            if child.stdin:
                child.stdin.close()
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
            await child.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(CliBroke("The Claude Code CLI was stopped."))
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        guardian.kill_marked(self.launch.mark)
        shutil.rmtree(self.launch.directory, ignore_errors=True)
        self._watch.remove(self.launch.mark)

    async def _read(self) -> None:
        assert self._child is not None and self._child.stdout is not None  # noqa: PT018, S101 - started only after the child exists
        reader = FrameReader()
        try:
            while data := await self._child.stdout.read(READ_BYTES):
                for frame in reader.feed(data):
                    if isinstance(frame, ControlResponse):
                        future = self._asked.pop(frame.request_id, None)
                        if future and not future.done():
                            future.set_result(frame)
                    elif isinstance(frame, Mirror):
                        if self.mirrored is not None:
                            self.mirrored.append(frame)
                    else:
                        await self._inbox.put(frame)
            await self._child.wait()
            end = CliBroke("The Claude Code CLI ended in the middle of the run.")
        except FrameError as error:
            log.error("the CLI wrote garbage", extra={"error": str(error)})
            end = CliBroke("The Claude Code CLI wrote something that cannot be understood.")
        await self._inbox.put(end)
        self._fail(end)
        self._over = True

    async def _read_errors(self) -> None:
        assert self._child is not None and self._child.stderr is not None  # noqa: PT018, S101 - started only after the child exists
        while data := await self._child.stderr.read(READ_BYTES):
            self._stderr = (self._stderr + data)[-STDERR_BYTES:]
            log.debug("stderr of the CLI", extra={"text": data[-STDERR_BYTES:].decode(errors="replace")})

    def _fail(self, end: CliBroke) -> None:
        for future in self._asked.values():
            if not future.done():
                future.set_exception(end)
                future.exception()
        self._asked.clear()


def new_id() -> str:
    """A fresh uuid, the form in which the CLI wants names for frames."""
    return str(uuid.uuid4())
