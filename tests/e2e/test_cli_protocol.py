"""Knows every flag, frame and variable of the CLI that pinnace relies on, and pins each against the real binary.

An upgrade of the CLI that changes one of them fails here first, and says which.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pinnace.core.adapters.claude import frames
from pinnace.core.adapters.claude.binary import find_binary
from pinnace.core.adapters.claude.channel import Channel
from pinnace.core.adapters.claude.frames import ApiFailure, Result, StreamEvent
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, Credential, CredentialKind
from pinnace.core.adapters.claude.process import CliProcess, new_id
from pinnace.core.adapters.claude.spawn import launch
from pinnace.core.adapters.claude.watch import Watch
from pinnace.core.model.run import Profile
from pinnace.testing.upstream import Upstream

PATIENCE = 30.0


@asynccontextmanager
async def child(
    upstream: Upstream, directory: Path, profile: Profile, initialize: dict[str, Any] | None = None
) -> AsyncIterator[CliProcess]:
    """A child that talks to the scripted endpoint directly, as one with a cloud provider's credentials would."""
    upstream.forget()
    environment = {"ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-test"}
    credential = Credential(CredentialKind.BEDROCK, environment=environment)
    cli = CliOptions(find_binary(None), directory / "run", credential, {"PATH": os.environ["PATH"]})
    started = launch(profile, cli, AgentOptions(allowed_tools=("Bash",)), None, claimable=initialize is None)
    process = CliProcess(started, Channel(), Watch(), 0.0)
    await process.start(PATIENCE, **(initialize or {}))
    try:
        yield process
    finally:
        await process.close()


async def settle(process: CliProcess, model: str, body: dict[str, Any]) -> None:
    request_id = new_id()
    answer = process.expect(request_id)
    process.send(frames.call_settings(request_id, model, body))
    reply = await process.answer(answer, PATIENCE)
    assert reply.error is None


async def result(process: CliProcess) -> tuple[Result, list[Any]]:
    seen: list[Any] = []
    while not isinstance(frame := await process.take(PATIENCE), Result):
        seen.append(frame)
    return frame, seen


def test_the_bundled_version_is_the_pinned_one() -> None:
    shown = subprocess.run([find_binary(None), "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("2.1.329 ")


async def test_initialize_names_the_version_and_the_models(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        assert process.greeting["claude_code_version"] == "2.1.329"
        assert {"value", "resolvedModel", "displayName", "description"} <= process.greeting["models"][0].keys()


async def test_the_extra_body_replaces_the_request_and_stays_until_it_is_replaced(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        body = {
            "messages": [{"role": "user", "content": "mine"}],
            "system": [],
            "metadata": {},
            "max_tokens": 5,
            "betas": ["b-1"],
        }
        await settle(process, "claude-haiku-5-5", body)
        for _ in range(2):
            turn = new_id()
            process.send(frames.user_turn(turn, "."))
            await result(process)
            rewound = await process.ask(
                "rewind_conversation", seconds=PATIENCE, target_message_uuid=turn, last_seen_user_message_uuid=turn
            )
            assert rewound.response["rewound"] is True
        assert [sent["messages"] for sent in upstream.bodies] == [body["messages"]] * 2
        assert [sent["model"] for sent in upstream.bodies] == ["claude-haiku-5-5"] * 2
        assert {"thinking", "context_management", "output_config", "temperature"}.isdisjoint(upstream.bodies[0])
        calls = [seen for seen in upstream.requests if seen.method == "POST"]
        assert calls[0].headers["anthropic-beta"] == "b-1"


async def test_a_result_tells_totals_that_add_up_over_the_process(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        await settle(process, "claude-sonnet-5-5", {})
        costs = []
        for _ in range(2):
            process.send(frames.user_turn(new_id(), '::text a\n::usage {"input_tokens": 10, "output_tokens": 1}'))
            ended, _ = await result(process)
            costs.append(ended.raw["total_cost_usd"])
            assert "claude-sonnet-5-5" in ended.raw["modelUsage"]
        assert costs == [pytest.approx(30e-6), pytest.approx(60e-6)]


async def test_a_failed_call_is_told_with_status_and_type(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        process.send(frames.user_turn(new_id(), "::error 429 rate_limit_error slow"))
        ended, seen = await result(process)
        (failed,) = [frame for frame in seen if isinstance(frame, ApiFailure)]
        assert (failed.status, failed.kind) == (429, "rate_limit_error")
        assert (ended.is_error, ended.status, ended.reason) == (True, 429, "api_error")


async def test_an_interrupt_ends_the_turn_and_the_process_can_be_rewound(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        turn = new_id()
        process.send(frames.user_turn(turn, "::text a\n::hang"))
        while not isinstance(await process.take(PATIENCE), StreamEvent):
            pass
        process.send(frames.control(new_id(), "interrupt"))
        ended, _ = await result(process)
        assert ended.subtype == "error_during_execution"
        rewound = await process.ask(
            "rewind_conversation", seconds=PATIENCE, target_message_uuid=turn, last_seen_user_message_uuid=turn
        )
        assert rewound.response["rewound"] is True


async def test_a_spare_is_claimed_with_directory_system_prompt_and_tools(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.AGENT) as process:
        fields = {"cwd": str(tmp_path), "append_system_prompt": "APPENDED", "sdk_mcp_servers": ["caller"]}
        claimed = await process.ask("claim_session", seconds=PATIENCE, **fields)
        assert claimed.error is None
        assert claimed.response["status"] == "ok"
        again = await process.ask("claim_session", seconds=PATIENCE, **fields)
        assert again.error is not None


async def test_a_claim_that_cannot_be_met_is_refused_in_one_token(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.AGENT) as process:
        refused = await process.ask("claim_session", seconds=PATIENCE, cwd=str(tmp_path / "nowhere"))
        assert refused.error is not None
        assert refused.error.startswith("cwd_not_found")


async def test_history_on_standard_input_reaches_the_model_in_its_order(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        process.send(frames.user_turn(new_id(), [{"type": "text", "text": "one"}], answered=False))
        ended, _ = await result(process)
        assert ended.raw["num_turns"] == 0
        process.send(frames.assistant_turn(new_id(), "msg_1", "claude-sonnet-5-5", [{"type": "text", "text": "two"}]))
        process.send(frames.user_turn(new_id(), "three"))
        await result(process)
        said = upstream.bodies[-1]["messages"]
        assert [message["role"] for message in said] == ["user", "assistant", "user"]
        assert [word in json.dumps(message) for word, message in zip(("one", "two", "three"), said, strict=True)] == [
            True
        ] * 3


async def test_client_composed_text_is_neither_a_command_nor_a_file(upstream: Upstream, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read me")
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        for text in (f"@{secret}", "/compact"):
            process.send(frames.user_turn(new_id(), text))
            await result(process)
        recorded = json.dumps(upstream.bodies)
        assert "do not read me" not in recorded
        assert "/compact" in recorded


async def test_get_usage_tells_the_totals_in_the_middle_of_a_turn(upstream: Upstream, tmp_path: Path) -> None:
    async with child(upstream, tmp_path, Profile.MESSAGES) as process:
        process.send(frames.user_turn(new_id(), "::text a"))
        await result(process)
        reply = await process.ask("get_usage", seconds=PATIENCE)
        assert {"total_cost_usd", "model_usage"} <= reply.response["session"].keys()


async def test_a_process_that_is_no_spare_takes_the_same_by_its_first_initialize(
    upstream: Upstream, tmp_path: Path
) -> None:
    bound = {"appendSystemPrompt": "APPENDED"}
    async with child(upstream, tmp_path, Profile.AGENT, initialize=bound) as process:
        process.send(frames.user_turn(new_id(), "::text a"))
        await result(process)
        assert "APPENDED" in json.dumps(upstream.bodies[-1]["system"])
