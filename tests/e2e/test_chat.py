"""Knows that the command talks, goes on with a session later, and says what went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from served import Served


def chat(served: Served, *lines: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pinnace.client", "chat", "--url", served.url, *options]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("profile", ["agent", "messages"])
def test_a_conversation_is_had_and_gone_on_with_later(served: Served, profile: str) -> None:
    first = chat(served, "my name is Flint ::no", "::text aye", "", "::text again", options=("--profile", profile))
    assert first.returncode == 0, first.stderr
    said = first.stdout.splitlines()
    assert said[-2:] == ["aye", "again"]
    name = first.stderr.split()[1].rstrip(";")
    served.upstream.forget()
    second = chat(served, "who am I?", "/exit", "never said", options=("--profile", profile, "--session", name))
    assert "> my name is Flint" in second.stdout
    assert "Flint" in str(served.upstream.bodies[0]["messages"])
    assert "never said" not in str(served.upstream.bodies)


def test_tools_that_run_are_named_beside_the_answer(served: Served) -> None:
    told = chat(served, '::tool Bash {"command": "true"}')
    assert "[Bash]" in told.stderr


def test_an_error_is_said_and_the_conversation_goes_on(served: Served) -> None:
    told = chat(
        served, "::error 400 invalid_request_error no such thing", "::text aye", options=("--profile", "messages")
    )
    assert "Error: no such thing" in told.stderr
    assert told.stdout.splitlines()[-1] == "aye"
    assert told.returncode == 0


def test_a_server_that_is_not_there_is_a_failure(served: Served) -> None:
    command = [sys.executable, "-m", "pinnace.client", "chat", "--url", "http://127.0.0.1:9"]
    told = subprocess.run(command, input="ahoy", capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert "cannot be reached" in told.stderr
    assert "Traceback" not in told.stderr


def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pinnace.client", "chat", "--url", served.url, "--profile", "messages"]
    with subprocess.Popen(
        command, stdin=-1, stdout=-1, stderr=-1, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as child:
        assert child.stdin is not None
        child.stdin.write("::text half\n")
        child.stdin.flush()
        served.wait_until(lambda: len(served.upstream.bodies) == 1)
        served.wait_until(lambda: served.stats()["busy"] == 0)
        child.stdin.write("::hang\n")
        child.stdin.flush()
        served.wait_until(lambda: len(served.upstream.bodies) == 2)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate("::text whole\n", timeout=30)
    assert "(stopped)" in errors
    assert output.splitlines()[-1] == "whole"
    assert child.returncode == 0
