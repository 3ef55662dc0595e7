"""Knows what each directive answers over HTTP and what is recorded of the requests; it must not know pinnace's server."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted import ask, body, content, deltas, events, streamed

from pinnace.testing.answer import SIGNATURE, estimate_tokens
from pinnace.testing.upstream import RATE_LIMITS, Upstream


def test_text_is_a_block_of_a_delta_a_word(upstream: Upstream) -> None:
    assert content(upstream, "::text Seven barrels of tar") == [{"type": "text", "text": "Seven barrels of tar"}]
    assert [delta["text"] for delta in deltas(upstream, "::text Seven barrels")] == ["Seven", " barrels"]


def test_text_in_quotation_marks_is_a_json_string(upstream: Upstream) -> None:
    assert content(upstream, r'::text "one\ntwo — \u00fc"')[0]["text"] == "one\ntwo — ü"


def test_deltas_are_that_many(upstream: Upstream) -> None:
    assert [delta["text"] for delta in deltas(upstream, "::deltas 300 tick tack")] == ["tick tack"] * 300
    assert content(upstream, "::deltas 2")[0]["text"] == "word word "


def test_thinking_is_signed(upstream: Upstream) -> None:
    assert content(upstream, "::thinking Hm, tar") == [
        {"type": "thinking", "thinking": "Hm, tar", "signature": SIGNATURE}
    ]
    kinds = [delta["type"] for delta in deltas(upstream, "::thinking Hm, tar")]
    assert kinds == ["thinking_delta", "thinking_delta", "signature_delta"]
    assert base64.b64decode(SIGNATURE)


def test_a_tool_is_called_with_input_in_fragments(upstream: Upstream) -> None:
    line = '::tool weigh {"cargo": "tar", "barrels": [1, 2]}'
    (call,) = content(upstream, line)
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "weigh", {"cargo": "tar", "barrels": [1, 2]})
    assert call["id"].startswith("toolu_")
    fragments = [delta["partial_json"] for delta in deltas(upstream, line)]
    assert len(fragments) > 2
    assert json.loads("".join(fragments)) == call["input"]
    assert ask(upstream, line).json()["stop_reason"] == "tool_use"


def test_two_calls_have_two_names(upstream: Upstream) -> None:
    one, other = content(upstream, "::tool weigh", "::tool weigh")
    assert one["id"] != other["id"]
    assert one["input"] == {}


def test_a_block_comes_whole_in_its_start(upstream: Upstream) -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "tar"}}
    assert content(upstream, f"::block {json.dumps(block)}", "::text a") == [block, {"type": "text", "text": "a"}]
    assert deltas(upstream, f"::block {json.dumps(block)}") == []


def test_echo_is_the_body_that_came(upstream: Upstream) -> None:
    assert json.loads(content(upstream, "Ahoy  ü", "::echo")[0]["text"]) == body("Ahoy  ü", "::echo")


@pytest.mark.parametrize(
    ("lines", "stop"),
    [
        (["::text a"], ("end_turn", None)),
        (["::text a", "::stop max_tokens"], ("max_tokens", None)),
        (["::stop stop_sequence END OF LOG", "::text a"], ("stop_sequence", "END OF LOG")),
        (["::tool weigh", "::stop end_turn"], ("end_turn", None)),
        (["::stop refusal"], ("refusal", None)),
    ],
)
def test_a_stop_has_its_reason_and_its_sequence(upstream: Upstream, lines: list[str], stop: tuple[str, Any]) -> None:
    answer = ask(upstream, *lines).json()
    assert (answer["stop_reason"], answer["stop_sequence"]) == stop


def test_usage_is_estimated_unless_it_is_given(upstream: Upstream) -> None:
    usage = ask(upstream, "::text a b c").json()["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (estimate_tokens(body("::text a b c")), 3)
    line = '::usage {"input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 7}'
    given = ask(upstream, "::text a", line).json()["usage"]
    assert (given["input_tokens"], given["output_tokens"], given["cache_read_input_tokens"]) == (100, 50, 7)
    start, *_ = events(upstream, "::text a", line)
    assert start["message"]["usage"]["input_tokens"] == 100
    assert start["message"]["usage"]["output_tokens"] == 1


def test_ping_and_event_stand_where_they_are_written(upstream: Upstream) -> None:
    kinds = [
        event["type"] for event in events(upstream, "::text a", "::ping", '::event {"type": "weather", "wind": 7}')
    ]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "ping",
        "weather",
        "message_delta",
        "message_stop",
    ]
    assert {"type": "weather", "wind": 7} in events(upstream, '::event {"type": "weather", "wind": 7}')


def test_garbage_is_in_the_stream_as_written(upstream: Upstream) -> None:
    text = streamed(upstream, "::text a", "::garbage data: {not json, ü")
    before, _, after = text.partition("data: {not json, ü")
    assert before.endswith("\n\n")
    assert after.startswith("event: message_delta")


def test_a_header_goes_with_the_answer_whatever_it_is(upstream: Upstream) -> None:
    assert ask(upstream, "::header X-Berth 7 north", "::text a").headers["x-berth"] == "7 north"
    refused = ask(upstream, "::header retry-after 3", "::error 429")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")


def test_a_header_counts_where_the_answer_has_not_begun(upstream: Upstream) -> None:
    answer = ask(upstream, "::text a", "::header x-berth 7")
    assert answer.status_code == 200
    assert "x-berth" not in answer.headers


def test_each_answer_has_a_request_id_and_rate_limits(upstream: Upstream) -> None:
    one, other = ask(upstream, "::text a"), ask(upstream, "::error 500")
    assert one.headers["request-id"] != other.headers["request-id"]
    assert other.json()["request_id"] == other.headers["request-id"]
    assert RATE_LIMITS.items() <= dict(one.headers).items()


def test_pace_and_delay_change_nothing_but_the_time(upstream: Upstream) -> None:
    assert content(upstream, "::delay 0.001", "::pace 0.001", "::text a b", "::delay 0.001") == [
        {"type": "text", "text": "a b"}
    ]


def test_a_turn_answers_the_results_that_come_back(upstream: Upstream) -> None:
    request = body("::tool weigh", "::turn", "::text Seven")
    (call,) = httpx.post(f"{upstream.url}/v1/messages", json=request).json()["content"]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "7"}
    request["messages"] += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    for _ in range(2):
        answer = httpx.post(f"{upstream.url}/v1/messages", json=request).json()
        assert answer["content"] == [{"type": "text", "text": "Seven"}]
        assert answer["stop_reason"] == "end_turn"


def test_a_prompt_without_a_script_is_said_back(upstream: Upstream) -> None:
    answer = ask(upstream, "Ahoy").json()
    assert answer["content"] == [{"type": "text", "text": "You said: Ahoy"}]
    assert (answer["role"], answer["type"], answer["model"]) == ("assistant", "message", "claude-x")


def test_a_script_that_says_nothing_is_an_empty_message(upstream: Upstream) -> None:
    assert content(upstream, "::stop end_turn") == []


def test_a_streamed_answer_adds_up_to_the_whole_one(upstream: Upstream) -> None:
    lines = ("::thinking Hm", "::text a b", '::tool weigh {"kg": 1}')
    indices = [e["index"] for e in events(upstream, *lines) if e["type"] == "content_block_start"]
    assert indices == [0, 1, 2]
    assert [block["type"] for block in content(upstream, *lines)] == ["thinking", "text", "tool_use"]


def test_tokens_are_counted(upstream: Upstream) -> None:
    answer = httpx.post(f"{upstream.url}/v1/messages/count_tokens", json=body("Ahoy"))
    assert answer.json() == {"input_tokens": estimate_tokens(body("Ahoy"))}
    assert estimate_tokens({}) == 1
    assert upstream.bodies == []


def test_a_request_is_recorded_as_it_came(upstream: Upstream) -> None:
    headers = {"X-Api-Key": "sk-test", "anthropic-beta": "a-1"}
    httpx.post(f"{upstream.url}/v1/messages?beta=true", json=body("Ahoy"), headers=headers)
    httpx.get(f"{upstream.url}/v1/models")
    first, second = upstream.requests
    assert (first.method, first.path, first.body) == ("POST", "/v1/messages?beta=true", body("Ahoy"))
    assert (first.headers["x-api-key"], first.headers["anthropic-beta"]) == ("sk-test", "a-1")
    assert (second.method, second.path, second.body) == ("GET", "/v1/models", None)
    assert upstream.bodies == [body("Ahoy")]
    upstream.forget()
    assert (upstream.requests, upstream.bodies) == ([], [])


def test_a_request_that_fails_is_recorded_too(upstream: Upstream) -> None:
    ask(upstream, "::error 529")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(upstream, "::cut")
    assert [seen["messages"][0]["content"] for seen in upstream.bodies] == ["::error 529", "::cut"]


def test_another_path_is_not_found_and_a_head_is_answered(upstream: Upstream) -> None:
    answer = httpx.get(f"{upstream.url}/v1/models")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert httpx.head(upstream.url).status_code == 200


def test_a_record_gets_a_line_a_request_behind_what_it_had(tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text('{"method": "OLD"}\n')
    with Upstream(record=file) as upstream:
        ask(upstream, "Ahoy ü\nand on")
        httpx.get(f"{upstream.url}/v1/models?limit=1", headers={"x-api-key": "sk-test"})
    old, first, second = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert old == {"method": "OLD"}
    assert first.keys() == {"method", "path", "headers", "body"}
    assert (first["method"], first["path"], first["body"]) == ("POST", "/v1/messages", body("Ahoy ü\nand on"))
    assert (second["path"], second["body"], second["headers"]["x-api-key"]) == ("/v1/models?limit=1", None, "sk-test")
    assert "ü" in file.read_text(encoding="utf-8")
