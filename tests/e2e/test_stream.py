"""Knows that the caller's stream is the model's own: delta by delta, at once, by the grammar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from served import MODEL, Served, serving

from pinnace.core.wire.anthropic.grammar import StreamGrammar


def events(served: Served, script: str, prefix: str = "/api", **fields: Any) -> list[dict[str, Any]]:
    body = {
        "model": MODEL,
        "max_tokens": 100,
        "stream": True,
        "messages": [{"role": "user", "content": script}],
    } | fields
    found = []
    with served.http.stream("POST", f"{served.url}{prefix}/v1/messages", json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = answer.read().decode()
    for part in text.strip().split("\n\n"):
        name, data = part.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def without_pings(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in found if event["type"] != "ping"]


def test_each_delta_of_the_model_is_one_delta_to_the_caller(served: Served) -> None:
    found = without_pings(events(served, '::thinking so so\n::text a bc def\n::tool get {"city":"Oslo","n":1}'))
    deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
    assert [d["thinking"] for d in deltas if d["type"] == "thinking_delta"] == ["so", " so"]
    assert [d["text"] for d in deltas if d["type"] == "text_delta"] == ["a", " bc", " def"]
    assert [d["partial_json"] for d in deltas if d["type"] == "input_json_delta"] == ["", '{"city":"Osl', 'o","n":1}']
    assert [d["type"] for d in deltas].count("signature_delta") == 1


def test_the_stream_follows_the_grammar(served: Served) -> None:
    grammar = StreamGrammar()
    for event in events(served, "::thinking hm\n::text a b\n::ping\n::tool x {}\n::tool y {}"):
        grammar.admit(event)
    assert grammar.finished


@pytest.mark.parametrize(
    ("script", "reason", "sequence"),
    [
        ("::text a", "end_turn", None),
        ("::text a\n::stop max_tokens", "max_tokens", None),
        ("::text a\n::stop stop_sequence END", "stop_sequence", "END"),
        ("::tool t {}", "tool_use", None),
        ("::text a\n::stop tool_use", "tool_use", None),
        ("::text a\n::stop pause_turn", "pause_turn", None),
        ("::text a\n::stop refusal", "refusal", None),
        ("::text a\n::stop model_context_window_exceeded", "model_context_window_exceeded", None),
    ],
)
def test_why_the_model_stopped_is_told_and_it_is_asked_once(
    served: Served, script: str, reason: str, sequence: str | None
) -> None:
    message = served.ask(script).json()
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)
    assert len(served.upstream.bodies) == 1


def test_usage_is_the_models_own_in_both_forms(served: Served) -> None:
    counts = {"input_tokens": 12, "output_tokens": 34, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 6}
    script = f"::text a\n::usage {json.dumps(counts)}"
    whole = served.ask(script).json()["usage"]
    last = events(served, script)[-2]["usage"]
    assert counts.items() <= whole.items()
    assert {name: last[name] for name in counts} == counts


def test_a_message_in_one_piece_equals_the_assembled_stream(served: Served) -> None:
    script = '::thinking hm\n::text Hello world\n::tool a {"x": [1, {"y": null}]}\n::tool b'
    streamed = served.client().messages.stream(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": script}]
    )
    with streamed as stream:
        assembled = stream.get_final_message()
    whole = served.client().messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": script}])
    assert [_shape(block) for block in assembled.content] == [_shape(block) for block in whole.content]
    assert whole.stop_reason == assembled.stop_reason == "tool_use"


def _shape(block: Any) -> dict[str, Any]:
    return {k: v for k, v in block.model_dump().items() if k not in ("id", "parsed_output")}


def test_server_tools_blocks_pass(served: Served) -> None:
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    result: dict[str, Any] = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    message = served.ask(f"::block {json.dumps(use)}\n::block {json.dumps(result)}\n::text done").json()
    assert [block["type"] for block in message["content"]] == ["server_tool_use", "web_search_tool_result", "text"]


def test_silence_is_filled_with_pings_before_the_first_word_and_after(served: Served, own_directory: Path) -> None:
    with serving(own_directory, served.upstream, PINNACE_PING_SECONDS="0.3", PINNACE_AGENT__SPARES="0") as own:
        kinds = [event["type"] for event in events(own, "::delay 1.2\n::text a\n::delay 1.2\n::text b")]
    assert kinds.index("message_start") >= 2
    first, last = kinds.index("content_block_stop"), len(kinds) - kinds[::-1].index("content_block_start")
    assert kinds[first:last].count("ping") >= 2
    assert kinds[-1] == "message_stop"


def test_words_arrive_while_the_model_still_speaks(served: Served) -> None:
    body = {
        "model": MODEL,
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "::text early\n::hang"}],
    }
    with served.http.stream("POST", f"{served.url}/api/v1/messages", json=body) as answer:
        seen = ""
        for chunk in answer.iter_text():
            seen += chunk
            if "early" in seen:
                break
    assert "message_stop" not in seen
