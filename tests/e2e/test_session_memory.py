"""Knows that what an agent remembers beside its words is there on another server: summaries, subagents, its list of tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from served import MODEL, Served, serving

from pinnace.testing.upstream import Upstream

VARIABLES = {
    "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash", "Agent", "ToolSearch", "TaskCreate", "TaskList"]',
    "PINNACE_MESSAGES__SPARES": "0",
    "PINNACE_AGENT__SPARES": "0",
}


def turn(served: Served, *lines: str) -> tuple[str, list[dict[str, Any]]]:
    """Say something in the session; the answer, and what the model's API was asked meanwhile."""
    begun = len(served.upstream.bodies)
    sent = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "\n".join(lines)}]}
    answer = served.post(sent, "/sdk", x_session_id="harbour")
    assert answer.status_code == 200, answer.text
    said = "".join(block.get("text", "") for block in answer.json()["content"])
    return said, served.upstream.bodies[begun:]


def results(bodies: list[dict[str, Any]]) -> str:
    """What the agent's own tools gave back in a turn."""
    last = bodies[-1]["messages"]
    found = [block for message in last if isinstance(message["content"], list) for block in message["content"]]
    return json.dumps([block["content"] for block in found if block["type"] == "tool_result"])


def test_a_conversation_that_was_summed_up_stays_so(upstream: Upstream, own_directory: Path) -> None:
    with serving(own_directory, upstream, **VARIABLES) as first:
        turn(first, "The very first words.", "::text one")
        # As full as the context window: the next turn begins with a summary.
        turn(first, "Second.", '::usage {"input_tokens": 990000, "output_tokens": 5}', "::text two")
        said, asked = turn(first, "Third.", "::text three")
        assert said == "three"
        assert len(asked) > 1
    with serving(own_directory, upstream, **VARIABLES) as second:
        said, (asked_now,) = turn(second, "Fourth.", "::text four")
    assert said == "four"
    assert "continued from a previous conversation" in json.dumps(asked_now["messages"][0])
    whole = [message["content"] for message in asked_now["messages"] if message["role"] == "user"]
    assert not any("The very first words.\n::text one" in str(content) for content in whole[1:])


def test_the_list_of_tasks_and_the_subagents_words_are_there(upstream: Upstream, own_directory: Path) -> None:
    look = {"description": "Look", "prompt": "Look.\n::text seen by the subagent", "subagent_type": "general-purpose"}
    task = {"subject": "Tar the hull", "description": "All of it"}
    find = {"command": "cat $CLAUDE_CONFIG_DIR/projects/*/*/subagents/*.jsonl"}
    with serving(own_directory, upstream, **VARIABLES) as first:
        said, bodies = turn(first, "Look.", f"::tool Agent {json.dumps(look)}", "::turn", "::text done")
        assert (said, "seen by the subagent" in results(bodies)) == ("done", True)
        needed = '::tool ToolSearch {"query": "select:TaskCreate,TaskList"}'
        said, _ = turn(
            first, "Note.", needed, "::turn", f"::tool TaskCreate {json.dumps(task)}", "::turn", "::text noted"
        )
        # A subagent that went on in the background would have answered this turn with its own words.
        assert said == "noted"
    with serving(own_directory, upstream, **VARIABLES) as second:
        script = ("::tool TaskList {}", "::turn", f"::tool Bash {json.dumps(find)}", "::turn", "::text there")
        said, bodies = turn(second, "What is to be done?", *script)
    assert said == "there"
    assert "Tar the hull" in results(bodies)
    assert "seen by the subagent" in results(bodies)


def test_a_list_of_tasks_that_is_a_link_is_nobody_s(upstream: Upstream, own_directory: Path) -> None:
    secret = own_directory / "data" / "secret"
    variables = VARIABLES | {"PINNACE_AGENT__CONFINE": "off"}
    with serving(own_directory, upstream, **variables) as served:
        secret.mkdir()
        (secret / "1.json").write_text('{"secret": "of another session"}')
        steal = (
            f"mkdir -p $CLAUDE_CONFIG_DIR/tasks && for id in $CLAUDE_CONFIG_DIR/projects/*/*.jsonl; do ln -s {secret} "
        )
        steal += "$CLAUDE_CONFIG_DIR/tasks/$(basename $id .jsonl); done"
        said, _ = turn(served, "Link.", f"::tool Bash {json.dumps({'command': steal})}", "::turn", "::text linked")
        assert said == "linked"
    kept = (own_directory / "data").glob("sessions.sqlite3*")
    assert not any(b"of another session" in path.read_bytes() for path in kept)
