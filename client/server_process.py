"""Knows how to run a real `pinnace serve` as a child, wait until it is well and end it cleanly; it must not know why."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from pinnace.client.processes import Seen, descendants, kill, still_alive

#: What the server may see of this process's environment: where programs and this package are, language, temporary files.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
START_SECONDS = 60.0
STOP_SECONDS = 20.0
KILL_SECONDS = 2.0
LAST_LINES = 15


class ServerFailed(Exception):
    """The server did not start, or did not end as it should; the message says how."""


@dataclass(slots=True)
class ServerProcess:
    """A server of its own in `directory`; a context manager that waits for its health and leaves no process.

    `environment` is all that it gets beside `INHERITED`; `PINNACE_PORT` is chosen here. `cli_version` is what `/health` says.
    """

    directory: Path
    environment: Mapping[str, str]
    port: int = 0
    cli_version: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The base URL, without a profile's prefix."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.port = _free_port()
        given = {name: os.environ[name] for name in INHERITED if name in os.environ}
        if paths := os.environ.get("PYTHONPATH"):
            # The server works elsewhere, where a relative path would lead nowhere.
            given["PYTHONPATH"] = os.pathsep.join(
                str(Path(path).absolute()) for path in paths.split(os.pathsep) if path
            )
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pinnace.client", "serve"],
                env=given | dict(self.environment) | {"PINNACE_PORT": str(self.port)},
                # Somebody's own pinnace.toml and .env are not for this server.
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the parent, which then ends the server in its own time.
                start_new_session=True,
            )
        try:
            self.cli_version = self._wait_until_well(self._process)
        except BaseException:
            self._end(self._process)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        complaint = self._end(self._process)
        if complaint and error is None:
            raise ServerFailed(self.with_log(complaint))

    def with_log(self, sentence: str) -> str:
        """Add the last lines that the server logged."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        return (
            "\n".join([sentence, "The server's last lines:", *(f"  {line}" for line in lines)]) if lines else sentence
        )

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _wait_until_well(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + START_SECONDS
        said = "nothing"
        # Without the environment's proxies, which lead away from this machine.
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10.0) as client:
            while time.monotonic() < deadline:
                if (status := process.poll()) is not None:
                    raise ServerFailed(self.with_log(f"The server ended with status {status} before it served."))
                try:
                    answer = client.get("/health")
                except httpx.TransportError:
                    time.sleep(0.05)
                    continue
                said = answer.text
                if answer.is_success and answer.json().get("status") == "ok":
                    return str(answer.json()["cli"]["version"])
                time.sleep(0.25)
        raise ServerFailed(self.with_log(f"The server was not well after {START_SECONDS:.0f} s; /health said: {said}"))

    def _end(self, process: subprocess.Popen[bytes]) -> str | None:
        """End it and whatever it started; give the complaint, if something was not as it should be."""
        family = descendants(process.pid)
        started = time.monotonic()
        try:
            process.send_signal(signal.SIGTERM)
            status = process.wait(STOP_SECONDS)
            left = _left_after(family, started + STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return f"The server did not stop within {STOP_SECONDS:.0f} s of SIGTERM and was killed."
        finally:
            if process.poll() is None:
                family += descendants(process.pid)
                process.kill()
                process.wait()
            kill(family)
            _left_after(family, time.monotonic() + KILL_SECONDS)
        if left:
            return f"The server left processes behind, which were killed: {', '.join(str(seen.pid) for seen in left)}."
        return f"The server stopped with status {status} instead of 0." if status else None


def _left_after(family: list[Seen], deadline: float) -> list[Seen]:
    """Wait for processes to end; a server's helpers notice its end only after it."""
    while (left := still_alive(family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
