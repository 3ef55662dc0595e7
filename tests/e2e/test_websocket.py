"""Knows that turns on a socket are calls like any other: their words, their money, their limits and their ends."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from served import MODEL, Served
from talks import Frame, said, talking
from tenants import Tenancy

USAGE = '::usage {"input_tokens": 11, "output_tokens": 7}\n'
COST = f"0.{11 * 2 + 7 * 10:06}"
WEATHER = {"name": "depth", "description": "d", "input_schema": {"type": "object"}}


def kinds(frames: list[Frame]) -> list[str]:
    return [frame["type"] for frame in frames]


def records(served: Served) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in served.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "pinnace.access"]


@pytest.mark.parametrize("prefix", ["/api", "/sdk"])
def test_several_turns_on_one_socket(managed: Tenancy, key: str, prefix: str) -> None:
    with talking(managed.served, prefix, key) as talk:
        for word in ("one", "two"):
            frames = talk.turn(f"say {word}\n{USAGE}::text {word} and so on", id=word)
            assert kinds(frames) == ["start", "token", "token", "token", "token", "done"]
            assert {frame["id"] for frame in frames} == {word}
            assert said(frames) == f"{word} and so on"
            start, done = frames[0], frames[-1]
            assert (start["model"], start["message_id"]) == (MODEL, done["message"]["id"])
            assert done["message"]["content"] == [{"type": "text", "text": f"{word} and so on"}]
            assert (done["stop_reason"], done["cost_usd"]) == ("end_turn", COST)
            assert (done["usage"]["input_tokens"], done["usage"]["output_tokens"]) == (11, 7)


def test_a_turn_has_the_body_of_a_message_and_a_default_for_its_length(managed: Tenancy, key: str) -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "::text three"},
    ]
    with talking(managed.served, "", key) as talk:
        talk.turn(messages=messages, system="Be brief.", temperature=0.5, profile="messages", stream=False)
        sent = managed.served.upstream.bodies[-1]
        assert (sent["messages"], sent["system"], sent["temperature"]) == (messages, "Be brief.", 0.5)
        assert sent["max_tokens"] == 4096
        talk.turn("::text aye", max_tokens=5, profile="messages")
        assert managed.served.upstream.bodies[-1]["max_tokens"] == 5


def test_a_session_goes_on_over_another_socket_and_over_plain_http(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/sdk", key) as talk:
        assert talk.turn("the word is barnacle\n::text noted", session="watch")[-1]["session"] == "watch"
    with talking(managed.served, "/sdk", key, x_session_id="watch") as talk:
        assert said(talk.turn("which word?\n::text it was said")) == "it was said"
        assert "barnacle" in json.dumps(managed.served.upstream.bodies[-1]["messages"])
        refused = talk.turn("::text no", profile="messages")
        assert refused[-1]["error"]["type"] == "invalid_request_error"
        assert refused[-1]["error"]["message"].startswith("session: this session is of the agent profile")
    assert managed.admin("GET", "sessions/watch", key=key).json()["turns"] == 2


def test_what_a_session_says_a_turn_need_not_repeat(managed: Tenancy, key: str) -> None:
    fields = {"id": "set", "model": MODEL, "system": "You are a parrot.", "max_tokens": 77, "profile": "messages"}
    assert managed.admin("POST", "sessions", fields, key=key).status_code == 201
    with talking(managed.served, "/api", key) as talk:
        talk.say("chat", session="set", prompt="::text aye")
        assert kinds(talk.rest())[-1] == "done"
    sent = managed.served.upstream.bodies[-1]
    assert (sent["system"], sent["max_tokens"]) == ("You are a parrot.", 77)


@pytest.mark.parametrize("prefix", ["/api", "/sdk"])
def test_a_tool_of_the_caller_s_is_told_whole_and_answered_in_the_next_turn(
    managed: Tenancy, key: str, prefix: str
) -> None:
    name = "mcp__caller__depth" if prefix == "/sdk" else "depth"
    script = f'::text I sound\n::tool {name} {{"at": "the bow"}}\n::turn\n::text aye'
    with talking(managed.served, prefix, key) as talk:
        asked = talk.turn(script, tools=[WEATHER], session="sounding")
        (tool,) = [frame["tool"] for frame in asked if frame["type"] == "tool"]
        assert (tool["name"], tool["input"], tool["by"]) == ("depth", {"at": "the bow"}, "caller")
        assert asked[-1]["stop_reason"] == "tool_use"
        result = {"type": "tool_result", "tool_use_id": tool["id"], "content": "seven fathoms"}
        messages = [{"role": "user", "content": [result]}]
        assert said(talk.turn(messages=messages, tools=[WEATHER], session="sounding")) == "aye"
    assert "seven fathoms" in json.dumps(managed.served.upstream.bodies[-1]["messages"])


def test_an_agent_s_steps_show_where_they_are_asked_for(managed: Tenancy, key: str) -> None:
    script = '::text look\n::tool Bash {"command": "echo ahoy"}\n::turn\n::text done'
    with talking(managed.served, "/sdk", key) as talk:
        shown = talk.turn(script, steps=True)
        assert kinds(shown) == ["start", "token", "tool", "tool_result", "token", "done"]
        tool, result = shown[2]["tool"], shown[3]["result"]
        assert (tool["name"], tool["input"], tool["by"]) == ("Bash", {"command": "echo ahoy"}, "agent")
        assert (result["tool_use_id"], result["is_error"]) == (tool["id"], False)
        assert "ahoy" in json.dumps(result["content"])
        assert kinds(talk.turn(script)) == ["start", "token", "token", "done"]
    with talking(managed.served, "/sdk", key, x_sdk_message_mode="forward") as talk:
        assert "tool_result" not in kinds(talk.turn(script, steps=False))


def test_thinking_is_told_apart(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        frames = talk.turn("::thinking so so\n::text aye")
    assert "".join(frame["text"] for frame in frames if frame["type"] == "thinking") == "so so"
    assert said(frames) == "aye"


@pytest.mark.parametrize("prefix", ["/api", "/sdk"])
def test_cancelling_stops_the_run_and_settles_its_money(managed: Tenancy, prefix: str) -> None:
    project_id, secret = managed.secret(total_usd=5)
    with talking(managed.served, prefix, secret) as talk:
        talk.ask(f"{USAGE}::text early\n::hang", id="long")
        while talk.hear()["type"] != "token":
            pass
        talk.say("cancel", id="another")
        assert talk.hear()["error"]["type"] == "not_found_error"
        talk.say("cancel", id="long")
        (cancelled,) = talk.rest()
        assert (cancelled["type"], cancelled["id"]) == ("cancelled", "long")
        assert cancelled["usage"]["input_tokens"] == 11
        spending = managed.spending(project_id)
        assert spending["spent_usd"] == Decimal(cancelled["cost_usd"]) > 0
        assert spending["reserved_usd"] == spending["reserved_tokens"] == 0
        managed.served.wait_until(lambda: managed.served.stats()["busy"] == 0)
        assert said(talk.turn("::text next")) == "next"
        talk.say("cancel")
        assert talk.hear()["error"]["type"] == "not_found_error"


def test_a_turn_that_is_cancelled_leaves_its_session_as_it_was(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        talk.turn("first\n::text one", session="cut")
        talk.ask("second\n::text two\n::hang", session="cut")
        while talk.hear()["type"] != "token":
            pass
        talk.say("cancel")
        assert kinds(talk.rest()) == ["cancelled"]
        assert said(talk.turn("third\n::text three", session="cut")) == "three"
    heard = json.dumps(managed.served.upstream.bodies[-1]["messages"])
    assert "first" in heard
    assert "second" not in heard


def test_one_turn_at_a_time(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        talk.ask("::delay 0.5\n::text one", id="first")
        refused = talk.turn("::text two", id="second")[-1]
        assert (refused["id"], refused["error"]["type"]) == ("second", "conflict_error")
        frames = talk.rest()
        assert (frames[-1]["type"], frames[-1]["id"], said(frames)) == ("done", "first", "one")


def test_a_session_is_held_by_one_turn_and_another_waits_where_it_is_told_to(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as one, talking(managed.served, "/api", key) as other:
        one.ask("::delay 0.7\n::text first", session="held")
        managed.served.wait_until(lambda: bool(managed.served.upstream.bodies))
        (refused,) = other.turn("::text no", session="held")
        assert (refused["error"]["type"], refused["retry_after"] > 0) == ("conflict_error", True)
        assert said(other.turn("::text second", session="held", session_wait=10)) == "second"
        assert said(one.rest()) == "first"


def test_two_sockets_at_once(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as one, talking(managed.served, "/sdk", key) as other:
        for number, talk in enumerate((one, other)):
            talk.ask(f"::delay 0.5\n::text number {number}")
        assert [said(talk.rest()) for talk in (one, other)] == ["number 0", "number 1"]


BAD: list[tuple[str | bytes, str]] = [
    ("{", "The frame is not valid JSON"),
    ("[]", "The frame must be a JSON object"),
    (b"\x00\x01", "A frame is a text message"),
    ("{}", "type: must be"),
    ('{"type": "shout"}', "type: must be"),
    ('{"type": "auth", "key": "late"}', "type: a key comes once"),
    ('{"type": "cancel", "turn": "x"}', "turn: Extra inputs"),
    ('{"type": "chat", "id": 5}', "id: Input should be a valid string"),
    ('{"type": "chat", "profile": "root"}', "profile: Input should be 'agent' or 'messages'"),
    ('{"type": "chat", "prompt": "a", "messages": []}', "prompt: stands for messages"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "a", "model": ""}, "model: "),
    ({}, "messages: Field required"),
    ({"messages": [{"role": "pirate", "content": "a"}]}, "messages.0.role: "),
    ({"prompt": "a", "max_tokens": "many"}, "max_tokens: "),
    ({"prompt": "a", "session_wait": 99999}, "session_wait: must be 0 to "),
    ({"prompt": "a", "session": "x" * 129}, "session: must be 1 to 128"),
]


def test_a_bad_frame_is_answered_by_its_field_and_the_socket_goes_on(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        for frame, message in BAD:
            talk.socket.send(frame)
            answer = talk.hear()
            assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")
            assert answer["error"]["message"].startswith(message), answer
            assert answer["request_id"].startswith("req_")
        for fields, message in WRONG:
            (answer,) = talk.turn(id="wrong", **fields)
            assert (answer["id"], answer["error"]["type"]) == ("wrong", "invalid_request_error")
            assert answer["error"]["message"].startswith(message), answer
        assert said(talk.turn("::text still here")) == "still here"


def test_what_fails_in_the_middle_ends_the_turn_and_not_the_socket(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        frames = talk.turn("::text early\n::error 529 overloaded_error Busy")
        assert kinds(frames) == ["start", "token", "error"]
        assert (frames[-1]["error"]["type"], frames[-1]["request_id"]) == ("overloaded_error", frames[0]["request_id"])
        (refused,) = talk.turn("::header retry-after 7\n::error 429 rate_limit_error Slow down")
        assert (refused["error"], refused["retry_after"]) == ({"type": "rate_limit_error", "message": "Slow down"}, 7)
        # The key of the model's API is not the client's.
        (unknown,) = talk.turn("::error 401 authentication_error No")
        assert unknown["error"]["type"] == "authentication_error"
        assert said(talk.turn("::text next")) == "next"


def test_a_budget_and_a_limit_refuse_a_turn(managed: Tenancy) -> None:
    _, poor = managed.secret(total_usd=0.0001)
    limited = managed.key(managed.project(), limits={"requests_per_minute": 1})["key"]
    with talking(managed.served, "/api", poor) as talk:
        (refused,) = talk.turn("::text aye")
        assert refused["error"]["type"] == "billing_error"
        assert refused["error"]["details"]["limit"] == "0.000100"
    with talking(managed.served, "/api", limited) as talk:
        assert said(talk.turn("::text aye")) == "aye"
        (refused,) = talk.turn("::text aye")
        assert refused["error"]["type"] == "rate_limit_error"
        assert 55 <= refused["retry_after"] <= 60


def test_a_ping_is_answered_also_while_a_turn_runs(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        talk.say("ping")
        assert talk.hear() == {"type": "pong"}
        talk.ask("::delay 0.5\n::text aye")
        talk.say("ping")
        assert talk.hear() == {"type": "pong"}
        assert kinds(talk.rest())[-1] == "done"


def test_a_turn_is_recorded_as_a_request(managed: Tenancy, key: str) -> None:
    served = managed.served
    with talking(served, "/api", key, user_agent="a parrot") as talk:
        answered = talk.turn(f"{USAGE}::text aye", id="mine-1")
        (failed,) = talk.turn("::error 529 overloaded_error Busy")
        talk.ask("::text early\n::hang", id="mine-2")
        while talk.hear()["type"] != "token":
            pass
        talk.say("cancel")
        talk.rest()
    served.wait_until(lambda: any(record.get("client_request_id") == "mine-2" for record in records(served)))
    by_id = {record["request_id"]: record for record in records(served)}
    good = by_id[answered[0]["request_id"]]
    assert (good["method"], good["path"], good["status"]) == ("WEBSOCKET", "/v1/stream", 200)
    assert (good["client_request_id"], good["profile"], good["model"]) == ("mine-1", "messages", MODEL)
    assert (good["usage"]["output_tokens"], good["cost_microusd"], good["cut"]) == (7, 92, False)
    bad = by_id[failed["request_id"]]
    assert (bad["status"], bad["error"]) == (529, "overloaded_error")
    (left,) = [record for record in by_id.values() if record.get("client_request_id") == "mine-2"]
    assert (left["status"], left["cut"]) == (200, True)
    stats = managed.admin("GET", "logs/stats", key=key).json()
    assert [(path["path"], path["requests"]) for path in stats["by_path"]] == [("/v1/stream", 3)]
    assert (stats["requests"], stats["errors"]) == (3, 2)
    metrics = served.http.get(f"{served.url}/metrics").text
    assert 'pinnace_requests_total{path="/v1/stream",status="200"}' in metrics


def test_words_arrive_while_the_model_still_speaks(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key) as talk:
        began = time.monotonic()
        talk.ask("::text early\n::delay 3\n::text late")
        while talk.hear()["type"] != "token":
            pass
        assert time.monotonic() - began < 2
        talk.say("cancel")
        talk.rest()


def test_a_cached_answer_says_so(managed: Tenancy, key: str) -> None:
    with talking(managed.served, "/api", key, x_pinnace_cache="on") as talk:
        first, again = (talk.turn("cache me\n::text aye")[-1] for _ in range(2))
    assert (first["cache"], again["cache"], again["cost_usd"]) == ("miss", "hit", "0.000000")
    assert first["message"]["content"] == again["message"]["content"]


def test_plain_http_is_told_what_this_path_is(managed: Tenancy, key: str) -> None:
    answer = managed.admin("GET", "stream", key=key)
    assert (answer.status_code, "WebSocket" in answer.text) == (400, True)
