"""Knows the `agent` profile: Claude Code's tools on real files, the caller's tools beside them, and how the steps show."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from served import MODEL, Served, serving

from pinnace.core.wire.anthropic.grammar import StreamGrammar

LOOK = 'What is on board?\n::text Let me look.\n::tool Bash {"command": "cat cargo.txt"}\n::turn\n::text Tar.'
WEATHER = {
    "name": "weather",
    "description": "Weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CITIES = (
    'Weather?\n::text Asking.\n::tool mcp__caller__weather {"city":"Oslo"}\n::tool mcp__caller__weather {"city":"Rome"}'
    "\n::turn\n::text Cold and warm."
)


def run(served: Served, content: Any, *, mode: str | None = None, **fields: Any) -> dict[str, Any]:
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    body = {"model": MODEL, "max_tokens": 500, "messages": messages} | fields
    answer = served.post(body, "/sdk", **({"x-sdk-message-mode": mode} if mode else {}))
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()
    return message


def texts(message: dict[str, Any]) -> list[str]:
    return [block["text"] for block in message["content"] if block["type"] == "text"]


def test_the_agent_reads_a_real_file_and_its_steps_stay_its_own(served: Served) -> None:
    message = run(served, LOOK)
    assert texts(message) == ["Let me look.", "Tar."]
    assert message["stop_reason"] == "end_turn"
    result = served.upstream.bodies[-1]["messages"][-1]["content"]
    assert "seven barrels of tar" in json.dumps(result)


def test_forwarded_steps_are_the_apis_own_blocks(served: Served) -> None:
    message = run(served, LOOK, mode="forward")
    text, use, result, last = message["content"]
    assert (use["type"], use["name"], use["server_name"]) == ("mcp_tool_use", "Bash", "claude_code")
    assert use["input"] == {"command": "cat cargo.txt"}
    assert (result["type"], result["tool_use_id"], result["is_error"]) == ("mcp_tool_result", use["id"], False)
    assert "seven barrels" in result["content"][0]["text"]
    assert (text["text"], last["text"]) == ("Let me look.", "Tar.")


def test_formatted_steps_are_text(served: Served) -> None:
    message = run(served, LOOK, mode="formatted")
    assert {block["type"] for block in message["content"]} == {"text"}
    assert '<tool_use name="Bash">' in "".join(texts(message))
    assert "seven barrels" in "".join(texts(message))


@pytest.mark.parametrize("mode", ["forward", "formatted", "ignore"])
def test_each_mode_streams_one_well_formed_message(served: Served, mode: str) -> None:
    grammar = StreamGrammar()
    body = {"model": MODEL, "max_tokens": 500, "stream": True, "messages": [{"role": "user", "content": LOOK}]}
    for line in served.post(body, "/sdk", **{"x-sdk-message-mode": mode}).text.splitlines():
        if line.startswith("data: "):
            grammar.admit(json.loads(line.removeprefix("data: ")))
    assert grammar.finished


def test_usage_and_cost_are_the_whole_runs(served: Served) -> None:
    script = LOOK.replace("::turn", '::usage {"input_tokens": 100, "output_tokens": 10}\n::turn')
    usage = run(served, script + '\n::usage {"input_tokens": 200, "output_tokens": 20}')["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (300, 30)
    assert usage["cost_usd"] == pytest.approx((300 * 2 + 30 * 10) / 1_000_000)


def test_the_callers_system_follows_claude_codes_own(served: Served) -> None:
    run(served, "::text a", system=[{"type": "text", "text": "Speak like a sailor."}])
    system = "\n".join(block["text"] for block in served.upstream.bodies[0]["system"])
    assert system.rstrip().endswith("Speak like a sailor.")
    assert len(system) > 1000


def test_parameters_reach_each_call_of_the_agent(served: Served) -> None:
    run(served, LOOK, temperature=0.2, stop_sequences=["END"])
    for body in served.upstream.bodies:
        assert (body["temperature"], body["stop_sequences"], body["max_tokens"]) == (0.2, ["END"], 500)


def test_a_call_to_the_callers_tool_ends_the_turn_under_its_own_name(served: Served) -> None:
    message = run(served, CITIES, tools=[WEATHER])
    assert message["stop_reason"] == "tool_use"
    calls = [block for block in message["content"] if block["type"] == "tool_use"]
    assert [(call["name"], call["input"]) for call in calls] == [
        ("weather", {"city": "Oslo"}),
        ("weather", {"city": "Rome"}),
    ]
    assert "mcp__caller__weather" in [tool["name"] for tool in served.upstream.bodies[0]["tools"]]


def results(message: dict[str, Any]) -> dict[str, Any]:
    calls = [block for block in message["content"] if block["type"] == "tool_use"]
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "-5"} for call in calls],
    }


def test_the_results_go_straight_to_the_process_that_waits_for_them(served: Served) -> None:
    asked = [{"role": "user", "content": CITIES}]
    message = run(served, asked, tools=[WEATHER])
    started = served.stats()["claimed"]
    answer = run(
        served, [*asked, {"role": "assistant", "content": message["content"]}, results(message)], tools=[WEATHER]
    )
    assert texts(answer) == ["Cold and warm."]
    assert served.stats()["claimed"] == started
    received = served.upstream.bodies[-1]["messages"][-1]["content"]
    assert [block["tool_use_id"] for block in received] == [
        b["id"] for b in message["content"] if b["type"] == "tool_use"
    ]


def test_what_the_agents_own_tool_said_while_the_caller_was_asked_is_shown_with_the_next_turn(served: Served) -> None:
    both = (
        'Weather?\n::tool Bash {"command": "sleep 1; cat cargo.txt"}\n::tool mcp__caller__weather {"city":"Oslo"}'
        "\n::turn\n::text Cold."
    )
    asked = [{"role": "user", "content": both}]
    message = run(served, asked, tools=[WEATHER], mode="forward")
    own, theirs = message["content"]
    assert (own["type"], theirs["type"]) == ("mcp_tool_use", "tool_use")
    time.sleep(1.5)
    again = [*asked, {"role": "assistant", "content": message["content"]}, results(message)]
    ran, said = run(served, again, tools=[WEATHER], mode="forward")["content"]
    assert (ran["type"], ran["tool_use_id"]) == ("mcp_tool_result", own["id"])
    assert "seven barrels" in ran["content"][0]["text"]
    assert said["text"] == "Cold."


def test_the_results_find_their_way_also_when_that_process_is_gone(served: Served, own_directory: Path) -> None:
    asked = [{"role": "user", "content": CITIES}]
    with serving(own_directory, served.upstream, PINNACE_POOL__HOLD_SECONDS="0") as own:
        message = run(own, asked, tools=[WEATHER])
        answer = run(
            own, [*asked, {"role": "assistant", "content": message["content"]}, results(message)], tools=[WEATHER]
        )
    assert texts(answer) == ["Cold and warm."]
    roles = [m["role"] for m in served.upstream.bodies[-1]["messages"] if m["role"] != "system"]
    assert roles == ["user", "assistant", "user"]


def test_the_next_turn_of_a_conversation_goes_to_the_process_that_holds_it(served: Served) -> None:
    first = [{"role": "user", "content": "My name is Ada.\n::text Hello Ada."}]
    message = run(served, first)
    claimed = served.stats()["claimed"]
    again = [
        *first,
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "Who?\n::text Ada."},
    ]
    assert texts(run(served, again)) == ["Ada."]
    assert served.stats()["claimed"] == claimed


def test_a_history_from_elsewhere_is_given_natively(served: Served) -> None:
    history = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello Ada."}]},
        {"role": "user", "content": "And I sail."},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "::text Ada, who sails."},
    ]
    assert texts(run(served, history)) == ["Ada, who sails."]
    said = [m for m in served.upstream.bodies[-1]["messages"] if m["role"] != "system"]
    assert [m["role"] for m in said] == ["user", "assistant", "user", "assistant", "user"]
    assert "And I sail." in json.dumps(said[2])


def test_a_denied_tool_does_not_run(served: Served) -> None:
    script = 'x\n::tool Bash {"command": "rm cargo.txt"}\n::turn\n::tool Bash {"command": "ls"}\n::turn\n::text done'
    message = run(served, script, mode="forward")
    denied, listed = [block for block in message["content"] if block["type"] == "mcp_tool_result"]
    assert denied["is_error"] is True
    assert "cargo.txt" in listed["content"][0]["text"]


def test_a_tool_that_nobody_allowed_is_refused_without_a_question(served: Served) -> None:
    script = 'x\n::tool Write {"file_path": "/tmp/pinnace-never", "content": "x"}\n::turn\n::text done'
    message = run(served, script, mode="forward")
    (refused,) = [block for block in message["content"] if block["type"] == "mcp_tool_result"]
    assert refused["is_error"] is True
    assert not Path("/tmp/pinnace-never").exists()  # noqa: S108 - it must not be there


def test_an_agent_that_loops_is_paused_at_its_bound(served: Served) -> None:
    message = run(served, 'x\n::tool Bash {"command": "true"}')
    assert message["stop_reason"] == "pause_turn"
    assert len(served.upstream.bodies) == 4


def test_a_run_leaves_nothing_in_the_workspace_of_the_next(served: Served) -> None:
    run(served, 'x\n::tool Bash {"command": "echo stolen > left-behind.txt"}\n::turn\n::text ok')
    message = run(served, 'x\n::tool Bash {"command": "ls"}\n::turn\n::text ok', mode="forward")
    (listed,) = [block for block in message["content"] if block["type"] == "mcp_tool_result"]
    assert "left-behind" not in listed["content"][0]["text"]


def test_the_agents_tools_see_no_key_and_nothing_of_the_servers_environment(served: Served) -> None:
    message = run(
        served, 'x\n::tool Bash {"command": "env; cat /proc/$PPID/environ"}\n::turn\n::text ok', mode="forward"
    )
    shown = json.dumps(message)
    assert "PATH=" in shown
    assert "sk-upstream-secret" not in shown
    assert "PINNACE_DATA_DIR" not in shown


def test_by_default_the_agent_reads_its_own_directory_and_nothing_else(
    served: Served, own_directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "cargo.txt").write_text("seven barrels")
    (tmp_path / "secret.txt").write_text("outside")
    variables = {"PINNACE_AGENT__WORKSPACE": str(tmp_path / "workspace"), "PINNACE_MESSAGES__SPARES": "0"}
    script = f'''x
::tool Read {{"file_path": "cargo.txt"}}
::turn
::tool Read {{"file_path": "{tmp_path}/secret.txt"}}
::turn
::text ok'''
    with serving(own_directory, served.upstream, **variables) as own:
        message = run(own, script, mode="forward")
    inside, outside = [block for block in message["content"] if block["type"] == "mcp_tool_result"]
    assert "seven barrels" in inside["content"][0]["text"]
    assert outside["is_error"] is True


def test_what_an_agent_leaves_running_cannot_call_the_model(served: Served) -> None:
    call = (
        "(sleep 1; curl -s -o $HOME/out -X POST $ANTHROPIC_BASE_URL/v1/messages -H x-api-key:$ANTHROPIC_API_KEY -d '{}') "
        ">/dev/null 2>&1 & echo started"
    )
    script = f"x\n::tool Bash {json.dumps({'command': call})}\n::turn\n::text ok"
    run(served, script)
    calls = len(served.upstream.bodies)
    time.sleep(2)
    assert len(served.upstream.bodies) == calls == 2


def test_skills_and_commands_of_the_workspace_are_there(served: Served, own_directory: Path, tmp_path: Path) -> None:
    skill = tmp_path / "workspace" / ".claude" / "skills" / "knots"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: knots\ndescription: How to tie a bowline-by-pinnace\n---\nTie it.\n")
    (tmp_path / "workspace" / "CLAUDE.md").write_text("Always say ahoy-from-memory.\n")
    variables = {"PINNACE_AGENT__WORKSPACE": str(tmp_path / "workspace"), "PINNACE_MESSAGES__SPARES": "0"}
    with serving(own_directory, served.upstream, **variables) as own:
        run(own, "::text a")
    seen = json.dumps(served.upstream.bodies[-1])
    assert "bowline-by-pinnace" in seen
    assert "ahoy-from-memory" in seen


def test_a_spare_that_refuses_its_claim_is_replaced_and_counted(served: Served, own_directory: Path) -> None:
    # A workspace whose own settings change the credential is one that the CLI refuses to a spare.
    workspace = own_directory / "workspace"
    (workspace / ".claude").mkdir(parents=True)
    (workspace / ".claude" / "settings.json").write_text(json.dumps({"apiKeyHelper": "echo no"}))
    (workspace / "cargo.txt").write_text("seven barrels of tar")
    variables = {"PINNACE_AGENT__WORKSPACE": str(workspace), "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]'}
    with serving(own_directory, served.upstream, **variables) as own:
        message = run(own, LOOK, mode="forward", system="Speak like a sailor.", tools=[WEATHER])
        assert own.stats()["fallbacks"] == 1
        assert "a spare refused its claim" in own.log()
    assert "seven barrels" in json.dumps(message)
    assert "Speak like a sailor." in json.dumps(served.upstream.bodies[-1]["system"])
    assert "mcp__caller__weather" in [tool["name"] for tool in served.upstream.bodies[-1]["tools"]]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tool_choice": {"type": "any"}, "tools": [WEATHER]}, "tool_choice.type"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]}, "mcp_servers"),
    ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}, "messages.1"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED)
def test_what_the_profile_cannot_carry_is_refused_by_name(served: Served, fields: dict[str, Any], path: str) -> None:
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]} | fields
    answer = served.post(body, "/sdk")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(path)


@pytest.mark.parametrize("status", [400, 401, 429])
def test_an_upstream_failure_keeps_its_status_here_too(served: Served, status: int) -> None:
    answer = served.ask(f"::header retry-after 1\n::error {status}", "/sdk")
    assert answer.status_code == status, answer.text
    assert f"scripted failure {status}" in answer.json()["error"]["message"]
