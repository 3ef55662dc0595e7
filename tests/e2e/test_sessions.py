"""Knows that a session goes on where it was: in the same process, in another one, and after its server was killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import MODEL, Served, serving
from tenants import Tenancy

from pinnace.testing.upstream import Upstream

PROFILES = {"/api": "messages", "/sdk": "agent"}


def say(
    managed: Tenancy, secret: str, session: str, content: Any, prefix: str = "/sdk", **fields: Any
) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": content}]} | fields
    headers = {"x-api-key": secret, "x-session-id": session}
    return managed.served.http.post(f"{managed.served.url}{prefix}/v1/messages", json=body, headers=headers)


def texts(message: dict[str, Any]) -> str:
    return "".join(block.get("text", "") for block in message["content"])


def heard(upstream: Upstream) -> str:
    """All that reached the model with the last call."""
    return json.dumps(upstream.bodies[-1]["messages"])


@pytest.mark.parametrize("prefix", PROFILES)
def test_a_later_turn_knows_the_earlier_ones(managed: Tenancy, key: str, prefix: str) -> None:
    first = say(managed, key, "chat", "the word is barnacle\n::text noted", prefix)
    assert first.status_code == 200, first.text
    second = say(managed, key, "chat", "which word?\n::text it was said", prefix)
    assert texts(second.json()) == "it was said"
    assert "barnacle" in heard(managed.served.upstream)
    assert "noted" in heard(managed.served.upstream)
    shown = managed.admin("GET", "sessions/chat", key=key).json()
    assert (shown["turns"], shown["profile"]) == (2, PROFILES[prefix])


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_sends_all_of_it_again_is_not_heard_twice(managed: Tenancy, key: str, stream: bool) -> None:
    say(managed, key, "chat", "first\n::text one", "/api")
    history = [
        {"role": "user", "content": "first\n::text one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "second\n::text two"},
    ]
    say(managed, key, "chat", "", "/api", messages=history, stream=stream)
    assert [message["role"] for message in managed.served.upstream.bodies[-1]["messages"]] == [
        "user",
        "assistant",
        "user",
    ]


def test_files_of_one_turn_are_there_in_the_next(managed: Tenancy, key: str) -> None:
    say(
        managed,
        key,
        "files",
        '::tool Bash {"command": "echo ahoy > note.txt; mkdir -p d; ln -s note.txt l"}\n::turn\n::text done',
    )
    listed = managed.admin("GET", "sessions/files/files", key=key).json()
    assert [(file["path"], file["size_bytes"]) for file in listed["data"]] == [("note.txt", 5)]
    fetched = managed.admin("GET", "sessions/files/files/note.txt", key=key)
    assert fetched.text == "ahoy\n"
    assert fetched.headers["content-disposition"] == "attachment"
    put = managed.served.http.put(
        f"{managed.served.url}/v1/sessions/files/files/d/in.txt", content=b"from outside", headers={"x-api-key": key}
    )
    assert put.status_code == 201, put.text
    again = say(managed, key, "files", '::tool Bash {"command": "cat l d/in.txt"}\n::turn\n::text read')
    assert texts(again.json()).endswith("read")
    results = heard(managed.served.upstream)
    assert "ahoy" in results
    assert "from outside" in results


@pytest.mark.parametrize("ending", ["killed", "stopped"])
def test_another_server_goes_on_where_the_last_one_was(upstream: Upstream, own_directory: Path, ending: str) -> None:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]'}
    command = (
        '::tool Bash {"command": "pwd; echo turn >> log.txt; wc -l < log.txt; head -c 100000 /dev/urandom > blob"}'
    )
    places: list[str] = []

    def turn(served: Served) -> None:
        upstream.forget()
        headers = {"x-session-id": "voyage"}
        body = {
            "model": MODEL,
            "max_tokens": 99,
            "messages": [{"role": "user", "content": f"{command}\n::turn\n::text done"}],
        }
        answer = served.http.post(f"{served.url}/sdk/v1/messages", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        result = next(
            block
            for message in reversed(upstream.bodies[-1]["messages"])
            if message["role"] == "user" and isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == "tool_result"
        )
        place, count = json.dumps(result["content"]).strip('"').split("\\n")[:2]
        places.append(place)
        assert int(count) == len(places), served.log()

    for number in range(3):
        # A server that was killed does not end well, as `serving` would have it.
        ended = pytest.raises(AssertionError) if ending == "killed" else contextlib.nullcontext()
        with ended, serving(own_directory, upstream, **variables) as served:
            turn(served)
            if ending == "killed":
                served.child.send_signal(signal.SIGKILL)
        assert len(places) == number + 1
    assert len(set(places)) == 1
    assert "turn" in heard(upstream)


def test_one_call_at_a_time_and_the_other_is_told_to_wait_or_waits(managed: Tenancy, key: str) -> None:
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(say(managed, key, "busy", "::delay 2\n::text slow", "/api")))
    slow.start()
    managed.served.wait_until(lambda: bool(managed.served.upstream.bodies))
    refused = say(managed, key, "busy", "::text quick", "/api")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text patient"}]}
    headers = {"x-api-key": key, "x-session-id": "busy", "x-session-wait": "10"}
    waited = managed.served.http.post(f"{managed.served.url}/api/v1/messages", json=body, headers=headers)
    slow.join()
    assert [answer.status_code for answer in (*answers, waited)] == [200, 200]
    assert managed.admin("GET", "sessions/busy", key=key).json()["turns"] == 2


def test_another_project_s_session_is_another_one(managed: Tenancy, key: str) -> None:
    other = managed.key(managed.project())["key"]
    say(managed, key, "shared name", "the treasure is under the palm\n::text aye", "/api")
    for path in ("", "/history", "/files", "/files/x"):
        mine = managed.admin("GET", f"sessions/shared name{path}", key=other)
        none = managed.admin("GET", f"sessions/no such{path}", key=other)
        assert mine.status_code == none.status_code == 404
        assert mine.json()["error"] == none.json()["error"]
    for method, path in (("DELETE", ""), ("POST", "/fork")):
        assert managed.admin(method, f"sessions/shared name{path}", key=other).status_code == 404
    say(managed, other, "shared name", "where?\n::text dunno", "/api")
    assert "palm" not in heard(managed.served.upstream)
    assert managed.admin("GET", "sessions", key=other).json()["data"][0]["turns"] == 1


@pytest.mark.parametrize("prefix", PROFILES)
def test_the_history_is_shown_and_can_be_forked_at_a_message(managed: Tenancy, key: str, prefix: str) -> None:
    for word in ("one", "two", "three"):
        say(managed, key, "main", f"say {word}\n::text {word}!", prefix)
    history = managed.admin("GET", "sessions/main/history", key=key).json()["data"]
    assert [message["role"] for message in history] == ["user", "assistant"] * 3
    assert "three!" in json.dumps(history[-1]["content"])
    made = managed.admin("POST", "sessions/main/fork", {"id": "branch", "message_id": history[3]["id"]}, key=key)
    assert made.status_code == 201, made.text
    assert made.json()["parent_id"] == "main"
    say(managed, key, "branch", "go on\n::text gone", prefix)
    said = heard(managed.served.upstream)
    assert "two!" in said
    assert "three" not in said
    assert len(managed.admin("GET", "sessions/main/history", key=key).json()["data"]) == 6
    refused = managed.admin("POST", "sessions/main/fork", {"message_id": "no such"}, key=key)
    assert (refused.status_code, "no such" in refused.text) == (404, True)
    taken = managed.admin("POST", "sessions/main/fork", {"id": "branch"}, key=key)
    assert taken.status_code == 409


def test_what_a_session_says_a_turn_need_not_repeat(managed: Tenancy, key: str) -> None:
    fields = {
        "id": "set",
        "model": MODEL,
        "system": "You are a parrot.",
        "max_tokens": 77,
        "profile": "messages",
        "ttl_seconds": 60,
    }
    made = managed.admin("POST", "sessions", fields, key=key)
    assert made.status_code == 201, made.text
    body = {"messages": [{"role": "user", "content": "::text aye"}]}
    headers = {"x-api-key": key, "x-session-id": "set"}
    answer = managed.served.http.post(f"{managed.served.url}/api/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    sent = managed.served.upstream.bodies[-1]
    assert (sent["system"], sent["max_tokens"]) == ("You are a parrot.", 77)
    other = managed.served.http.post(f"{managed.served.url}/sdk/v1/messages", json=body, headers=headers)
    assert (other.status_code, "messages profile" in other.text) == (400, True)


def test_a_deleted_session_leaves_nothing(managed: Tenancy, key: str) -> None:
    word = f"secret{os.urandom(8).hex()}"
    say(managed, key, "gone", f'::tool Bash {{"command": "echo {word} > {word}.txt"}}\n::turn\n::text {word}')
    assert managed.admin("DELETE", "sessions/gone", key=key).json() == {"id": "gone", "type": "session_deleted"}
    assert managed.admin("GET", "sessions/gone", key=key).status_code == 404
    for path in (managed.served.directory / "data").rglob("*"):
        assert word not in path.name
        assert not path.is_file() or word.encode() not in path.read_bytes(), path
    say(managed, key, "gone", "who?\n::text nobody")
    assert word not in heard(managed.served.upstream)


def test_a_call_that_is_left_in_the_middle_leaves_a_session_that_goes_on(managed: Tenancy, key: str) -> None:
    say(managed, key, "cut", "first\n::text one")
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text two\n::hang"}]}
    headers = {"x-api-key": key, "x-session-id": "cut"}
    with pytest.raises(httpx.ReadTimeout):
        managed.served.http.post(f"{managed.served.url}/sdk/v1/messages", json=body, headers=headers, timeout=1)
    managed.served.wait_until(lambda: managed.served.stats()["busy"] == 0)
    answer = say(managed, key, "cut", "third\n::text three")
    assert answer.status_code == 200, answer.text
    assert "first" in heard(managed.served.upstream)


@pytest.mark.parametrize("prefix", PROFILES)
@pytest.mark.parametrize("process", ["waits", "is gone"])
def test_a_tool_of_the_caller_s_is_answered_in_the_next_turn(
    managed: Tenancy, key: str, process: str, prefix: str
) -> None:
    tools = [{"name": "depth", "description": "d", "input_schema": {"type": "object"}}]
    name = "mcp__caller__depth" if prefix == "/sdk" else "depth"
    asked = say(managed, key, "tools", f"sound\n::tool {name} {{}}\n::turn\n::text aye", prefix, tools=tools).json()
    assert asked["stop_reason"] == "tool_use"
    call = next(block for block in asked["content"] if block["type"] == "tool_use")
    result = [{"type": "tool_result", "tool_use_id": call["id"], "content": "seven fathoms"}]
    if process == "is gone":
        for pid in managed.served.cli_pids():
            os.kill(pid, signal.SIGKILL)
    answer = say(managed, key, "tools", result, prefix, tools=tools)
    assert answer.status_code == 200, answer.text
    assert texts(answer.json()) == "aye"
    said = managed.served.upstream.bodies[-1]["messages"]
    results = [block for message in said for block in message["content"] if isinstance(block, dict)]
    assert [block for block in results if block["type"] == "tool_result"][-1]["tool_use_id"] == call["id"]
    assert "seven fathoms" in heard(managed.served.upstream)
    managed.served.upstream.forget()
    assert say(managed, key, "tools", "thanks\n::text welcome", prefix, tools=tools).status_code == 200
    assert "seven fathoms" in heard(managed.served.upstream)


def test_an_id_in_any_script_is_the_same_in_a_header_and_in_a_path(managed: Tenancy, key: str) -> None:
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text aye"}]}
    headers = {b"x-api-key": key.encode(), b"x-session-id": "hafen 港口".encode()}
    answer = managed.served.http.post(f"{managed.served.url}/api/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert managed.admin("GET", "sessions/hafen 港口", key=key).json()["turns"] == 1


@pytest.mark.parametrize("session", ["", "x" * 129, "new\tline"])
def test_an_id_that_is_none_is_refused(managed: Tenancy, key: str, session: str) -> None:
    refused = say(managed, key, session, "::text aye", "/api")
    assert (refused.status_code, "x-session-id" in refused.text) == (400, True)
