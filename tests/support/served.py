"""Knows how a test gets a running server in a process of its own, and what it may ask of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx

from pinnace.testing.upstream import Upstream

MODEL = "claude-sonnet-5-5"
BOUND = 60.0
#: What a server gets of the test's environment; by the last, its lines are counted too.
KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


@dataclass(slots=True)
class Served:
    """A server, its upstream and its files."""

    url: str
    upstream: Upstream
    directory: Path
    child: subprocess.Popen[bytes]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=BOUND, verify=False))  # noqa: S501 - no TLS here

    def client(self, prefix: str = "/api", **options: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.url + prefix, api_key="any", max_retries=0, timeout=BOUND, **options)

    def post(self, body: Any, prefix: str = "/api", **headers: str) -> httpx.Response:
        """Send a body to the Messages API as it is."""
        given = {"anthropic-version": "2023-06-01"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"{self.url}{prefix}/v1/messages", json=body, headers=given)

    def ask(self, content: Any, prefix: str = "/api", **fields: Any) -> httpx.Response:
        """One user turn."""
        body = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": content}]} | fields
        return self.post(body, prefix)

    def stats(self) -> dict[str, int]:
        answer: dict[str, int] = self.http.get(f"{self.url}/v1/pool/stats").json()
        return answer

    def log(self) -> str:
        return (self.directory / "server.log").read_text()

    def cli_pids(self) -> list[int]:
        """The CLI processes that carry this server's directory."""
        return [
            pid
            for pid in marked(str(self.directory))
            if "_bundled/claude" in command_of(pid) or "fake_cli" in command_of(pid)
        ]

    def wait_until(self, holds: Any, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"it did not come true; stats {self.stats()}"
            time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def marked(mark: str) -> list[int]:
    """Processes whose environment names `mark`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@contextmanager
def serving(directory: Path, upstream: Upstream, **variables: str) -> Iterator[Served]:
    """Run `pinnace serve` on a free port; on the way out it must end with status 0 and leave nothing."""
    port = free_port()
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-upstream-secret",
        "PINNACE_DATA_DIR": str(directory / "data"),
        "PINNACE_DRAIN_SECONDS": "10",
        # A test sees each failure of its upstream as it is, unless it asks for more; test_retries.py does.
        "PINNACE_UPSTREAM__RETRIES": "0",
        "PINNACE_UPSTREAM__FAILURES": "0",
    } | variables
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "pinnace.client", "serve", "--port", str(port)]
        child = subprocess.Popen(command, env=environment, cwd=directory, stdout=log, stderr=log)
    served = Served(f"http://127.0.0.1:{port}", upstream, directory, child)
    try:
        _wait(served)
        yield served
    finally:
        served.http.close()
        child.send_signal(signal.SIGTERM)
        status = child.wait(timeout=30)
    assert status == 0
    assert marked(str(directory)) == []
    assert list((directory / "data" / "run").iterdir()) == []


def _wait(served: Served) -> None:
    deadline = time.monotonic() + BOUND
    while served.child.poll() is None and time.monotonic() < deadline:
        try:
            if served.http.get(f"{served.url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(served.log())
