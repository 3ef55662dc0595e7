"""Knows that whatever ends in the middle, a call, a CLI or the server itself, nothing is left over and the next call works."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cli_path
import httpx
import pytest
from served import MODEL, Served, marked, serving


def body(script: str, **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": script}]} | fields


def fine(served: Served, prefix: str = "/api") -> bool:
    answer = served.ask("::text fine", prefix)
    return answer.status_code == 200 and answer.json()["content"][0]["text"] == "fine"


STAGES: dict[str, tuple[str, Callable[[Served], bool]]] = {
    "before the first word": ("::delay 3\n::text a", lambda served: len(served.upstream.bodies) == 1),
    "in the middle of the answer": ("::text a\n::delay 3\n::text b", lambda served: len(served.upstream.bodies) == 1),
}


@pytest.mark.parametrize("prefix", ["/api", "/sdk"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_cli_that_is_killed_is_an_api_error_and_the_next_call_works(served: Served, stage: str, prefix: str) -> None:
    script, reached = STAGES[stage]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        call = pool.submit(served.post, body(script), prefix)
        served.wait_until(lambda: reached(served))
        for pid in served.cli_pids():
            os.kill(pid, signal.SIGKILL)
        answer = call.result()
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error"), answer.text
    assert fine(served, prefix)


def test_parked_spares_that_are_killed_are_replaced(served: Served) -> None:
    for pid in served.cli_pids():
        os.kill(pid, signal.SIGKILL)
    assert fine(served)
    assert fine(served, "/sdk")
    served.wait_until(lambda: served.stats()["parked"] >= 2)


@pytest.mark.parametrize("prefix", ["/api", "/sdk"])
def test_a_caller_that_leaves_stops_the_model_within_a_second(served: Served, prefix: str) -> None:
    with served.http.stream(
        "POST", f"{served.url}{prefix}/v1/messages", json=body("::pace 0.1\n::deltas 300 x", stream=True)
    ) as got:
        for chunk in got.iter_text():
            if "text_delta" in chunk:
                break
    left = time.monotonic()
    served.wait_until(lambda: served.stats()["busy"] == 0, seconds=5)
    assert time.monotonic() - left < 3
    assert fine(served, prefix)


def test_a_caller_that_leaves_a_whole_answer_stops_it_too(served: Served) -> None:
    with contextlib.suppress(httpx.ReadTimeout):
        served.http.post(f"{served.url}/api/v1/messages", json=body("::text a\n::hang"), timeout=1)
    served.wait_until(lambda: served.stats()["busy"] == 0, seconds=5)
    assert fine(served)


def test_what_an_agent_started_in_the_background_ends_with_its_run(served: Served, own_directory: Path) -> None:
    script = 'x\n::tool Bash {"command": "setsid sleep 321 & echo started"}\n::turn\n::text ok'
    with serving(
        own_directory, served.upstream, PINNACE_AGENT__ALLOWED_TOOLS='["Bash"]', PINNACE_POOL__HOLD_SECONDS="0"
    ) as own:
        assert own.ask(script, "/sdk").status_code == 200
        own.wait_until(
            lambda: not any("321" in Path(f"/proc/{pid}/cmdline").read_text() for pid in marked(str(own_directory)))
        )


def test_a_call_that_runs_when_the_server_is_told_to_end_is_answered(served: Served, own_directory: Path) -> None:
    with (
        serving(own_directory, served.upstream, PINNACE_AGENT__SPARES="0") as own,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        call = pool.submit(own.ask, "::text a\n::delay 1\n::text b")
        own.wait_until(lambda: own.stats()["busy"] == 1)
        own.child.send_signal(signal.SIGTERM)
        assert call.result().json()["stop_reason"] == "end_turn"


def test_the_children_of_a_killed_server_end_and_leave_no_file(served: Served, own_directory: Path) -> None:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]'}
    with contextlib.suppress(AssertionError), serving(own_directory, served.upstream, **variables) as own:
        script = 'x\n::tool Bash {"command": "setsid sleep 322 & sleep 60"}'
        threading.Thread(target=_quietly, args=(own, script), daemon=True).start()
        own.wait_until(lambda: any("322" in _command(pid) for pid in marked(str(own_directory))))
        own.child.kill()
        own.child.wait()
        deadline = time.monotonic() + 10
        while marked(str(own_directory)) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert marked(str(own_directory)) == []
    deadline = time.monotonic() + 5
    while list((own_directory / "data" / "run").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list((own_directory / "data" / "run").iterdir()) == []


def _quietly(own: Served, script: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        own.ask(script, "/sdk")


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.mark.parametrize("how", ["garbage", "flood", "die", "hang", "mute"])
def test_a_cli_that_goes_wrong_becomes_an_error_and_the_pool_heals(
    served: Served, own_directory: Path, how: str
) -> None:
    own_directory.mkdir()
    binary = own_directory / "fake_cli"
    binary.write_text(f"#!{sys.executable}\n" + Path(fake_cli_path.PATH).read_text())
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    variables = {"PINNACE_CLI_PATH": str(binary), "PINNACE_CLI__SILENCE_SECONDS": "1.5", "PINNACE_AGENT__SPARES": "0"}
    with serving(own_directory, served.upstream, **variables) as own:
        own.wait_until(lambda: own.stats()["parked"] == 1)
        (own_directory / "misbehaviour").write_text(how)
        with own.http.stream("POST", f"{own.url}/api/v1/messages", json=body("x", stream=True)) as answer:
            text = answer.read().decode()
        last = text if answer.status_code != 200 else text.strip().splitlines()[-1].removeprefix("data: ")
        assert json.loads(last)["error"]["type"] == "api_error"
        whole = own.ask("x").json()
        assert whole["content"][0]["text"] == "half"


@pytest.mark.soak
def test_two_hundred_callers_of_whom_a_third_leave_midway_leave_nothing(served: Served, own_directory: Path) -> None:
    leaving = set(range(0, 198, 3))
    variables = {"PINNACE_AGENT__SPARES": "0", "PINNACE_POOL__MAX_PROCESSES": "6", "PINNACE_POOL__MAX_WAITING": "300"}
    with serving(own_directory, served.upstream, **variables) as own:

        def call(number: int) -> str:
            # Each on a connection of its own; none of them pays for certificates, because there are none.
            with httpx.Client(timeout=120, verify=False) as http:  # noqa: S501 - loopback, without TLS
                sent = body("::pace 0.01\n::text a b c d e f", stream=True)
                with http.stream("POST", f"{own.url}/api/v1/messages", json=sent) as answer:
                    text = ""
                    for chunk in answer.iter_text():
                        text += chunk
                        if number in leaving and "text_delta" in text:
                            return "left"
            return "whole" if "message_stop" in text else text

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            ended = list(pool.map(call, range(200)))
        assert sorted(set(ended)) == ["left", "whole"]
        assert ended.count("whole") == 134
        own.wait_until(lambda: own.stats()["busy"] == own.stats()["waiting"] == 0)
        # One that was replaced may still be ending.
        own.wait_until(lambda: len(own.cli_pids()) <= 6)
        own.wait_until(lambda: len(list((own_directory / "data" / "run").iterdir())) <= 6)
        assert fine(own)


def test_more_callers_than_may_wait_are_told_to_come_back(served: Served, own_directory: Path) -> None:
    variables = {"PINNACE_AGENT__SPARES": "0", "PINNACE_POOL__MAX_PROCESSES": "1", "PINNACE_POOL__MAX_WAITING": "1"}
    with (
        serving(own_directory, served.upstream, **variables) as own,
        concurrent.futures.ThreadPoolExecutor(6) as pool,
    ):
        answers = list(pool.map(lambda _: own.ask("::delay 0.5\n::text a"), range(6)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.json()["error"]["type"] for answer in refused} == {"overloaded_error"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert any(answer.status_code == 200 for answer in answers)


def test_process_isolation_gives_every_call_a_process_of_its_own(served: Served, own_directory: Path) -> None:
    variables = {"PINNACE_MESSAGES__ISOLATION": "process", "PINNACE_AGENT__SPARES": "0"}
    with serving(own_directory, served.upstream, **variables) as own:
        for _ in range(3):
            assert fine(own)
        assert own.stats()["reused"] == 0
        assert own.stats()["started"] >= 3


def test_a_process_that_has_served_its_turns_is_replaced(served: Served, own_directory: Path) -> None:
    with serving(own_directory, served.upstream, PINNACE_POOL__MAX_TURNS="2", PINNACE_AGENT__SPARES="0") as own:
        for _ in range(5):
            assert fine(own)
        own.wait_until(lambda: own.stats()["started"] >= 3)


def test_a_spare_has_rehearsed_and_no_call_of_that_left(served: Served, own_directory: Path) -> None:
    served.upstream.forget()
    with serving(own_directory, served.upstream) as own:
        own.wait_until(lambda: own.stats()["parked"] == 2)
        assert served.upstream.bodies == []
        assert own.ask("::text a").json()["usage"]["output_tokens"] == 1
        assert len(served.upstream.bodies) == 1
