"""Knows that the Vercel AI SDK cannot tell; `make test-clients` installs it and runs this."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from served import Served

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def seen(served: Served) -> dict[str, Any]:
    command = ["node", str(HERE / "vercel.mjs"), f"{served.url}/api/v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_runs_its_tools_between_two_calls(seen: dict[str, Any]) -> None:
    assert seen["asked"] == ["Oslo", "Rome", "Oslo", "Rome"]
    first, second = seen["whole"]["steps"]
    assert first["finishReason"] == "tool-calls"
    assert first["results"] == ["-5 in Oslo", "-5 in Rome"]
    assert (second["finishReason"], second["text"]) == ("stop", "It is cold.")


def test_a_stream_goes_through_the_same_steps(seen: dict[str, Any]) -> None:
    assert seen["streamed"]["steps"] == seen["whole"]["steps"]
    assert seen["parts"].count("tool-call") == 2
    assert seen["parts"].count("finish-step") == 2


def test_each_delta_arrives_as_its_own(seen: dict[str, Any]) -> None:
    assert seen["deltas"] == ["a", " b", " c"]


def test_usage_is_counted_over_the_steps(seen: dict[str, Any]) -> None:
    usage = seen["whole"]["usage"]
    assert usage["inputTokens"] > 0
    assert usage["outputTokens"] > 0


def test_a_failure_is_its_own_exception(seen: dict[str, Any]) -> None:
    failure = seen["failure"]
    assert (failure["known"], failure["status"], failure["retryable"], failure["retryAfter"]) == (True, 429, True, "7")
