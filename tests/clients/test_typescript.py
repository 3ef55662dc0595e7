"""Knows that the official TypeScript client cannot tell; `make test-clients` installs it and runs this."""

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
    command = ["node", str(HERE / "anthropic.mjs"), f"{served.url}/api"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_message_with_an_image_reaches_the_model_as_sent(seen: dict[str, Any], served: Served) -> None:
    assert [block["type"] for block in seen["message"]["content"]] == ["thinking", "text"]
    assert served.upstream.bodies[0]["messages"] == seen["sent"]["messages"]


def test_a_stream_of_events_is_the_models_own(seen: dict[str, Any]) -> None:
    assert [event for event in seen["events"] if event != "ping"] == [
        "message_start",
        "content_block_start",
        "a",
        " b",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_each_delta_arrives_as_its_own(seen: dict[str, Any]) -> None:
    assert seen["deltas"] == ["a", " b", " c"]
    assert seen["streamed"]["stop_reason"] == "end_turn"


def test_parallel_calls_and_their_results_make_the_round_trip(seen: dict[str, Any]) -> None:
    assert [block["input"] for block in seen["calls"]["content"]] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert seen["answer"]["content"][0]["text"] == "Cold."


def test_failures_are_the_clients_own_exceptions(seen: dict[str, Any]) -> None:
    assert [(error["name"], error["status"]) for error in seen["errors"]] == [
        ("RateLimitError", 429),
        ("OverloadedError", 529),
        ("BadRequestError", 400),
    ]
    assert seen["errors"][0]["retryAfter"] == "7"
    assert seen["errors"][2]["said"] == "tools.0.name: too long"


def test_a_bad_request_is_told_which_field_is_wrong(seen: dict[str, Any]) -> None:
    assert [refusal["name"] for refusal in seen["refusals"]] == ["BadRequestError", "BadRequestError"]
    assert [refusal["said"].partition(":")[0] for refusal in seen["refusals"]] == ["max_tokens", "tools.0.name"]
    assert all(refusal["requestID"].startswith("req_") for refusal in seen["refusals"])


def test_tokens_and_models(seen: dict[str, Any]) -> None:
    assert seen["tokens"] > 0
    assert "claude-sonnet-5-5" in seen["models"]
