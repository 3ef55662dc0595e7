from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pinnace.client.processes import descendants, still_alive

pytestmark = pytest.mark.e2e

DEMO = [sys.executable, "-m", "pinnace.client", "demo"]


def environment(temporary: Path) -> dict[str, str]:
    """That of this process, with a folder for temporary files that is empty and things that must not matter."""
    return os.environ | {
        "TMPDIR": str(temporary),
        "COLUMNS": "160",
        "PINNACE_PORT": "nonsense",
        "ANTHROPIC_AUTH_TOKEN": "not-for-the-demo",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }


def test_the_demo_shows_each_stop_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(DEMO, check=False, capture_output=True, text=True, timeout=110, env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    wanted = [
        "The model is scripted",
        "Everything else is real",
        "claude  A pinnace is a light boat that a ship carries on board",
        "mcp_tool_use Bash",
        "$ cat cargo.txt",
        "30 casks of water",
        "claude  The manifest lists 30 casks of water.",
        "claude  You named 12 barrels.",
        "3 messages: user, assistant, user",
        "In all it would have cost $0.0",
        "no process of it is left",
    ]
    places = [done.stdout.find(text) for text in wanted]
    assert -1 not in places, done.stdout
    assert places == sorted(places)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_stopped_cleans_up(tmp_path: Path) -> None:
    with subprocess.Popen([*DEMO, "--keep"], stdout=subprocess.PIPE, text=True, env=environment(tmp_path)) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("claude  "):
                break
        family = descendants(demo.pid)
        assert len(family) > 1
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        demo.wait(30)
    deadline = time.monotonic() + 5
    while (left := still_alive(family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_kept_ends_well_on_ctrl_c(tmp_path: Path) -> None:
    with subprocess.Popen([*DEMO, "--keep"], stdout=subprocess.PIPE, text=True, env=environment(tmp_path)) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("curl "):
                break
        demo.send_signal(signal.SIGINT)
        assert "no process of it is left" in demo.stdout.read()
        assert demo.wait(30) == 0
