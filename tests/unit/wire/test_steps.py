"""Knows how an agent's run becomes one message in each mode; it must not know how the agent runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pinnace.core.model.run import MessageMode, ModelEvent, Outcome, RunEvent, ToolsRan
from pinnace.core.wire.anthropic.assemble import MessageAssembler
from pinnace.core.wire.anthropic.grammar import StreamGrammar
from pinnace.core.wire.anthropic.steps import StepFolder

Json = dict[str, Any]

OUTCOME = Outcome(usage={"input_tokens": 30, "output_tokens": 12}, cost_microusd=1_250, calls=2)
USAGE = {"input_tokens": 30, "output_tokens": 12, "cost_usd": 0.00125}
THINKING: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
BASH: Json = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "wc -l cargo"}}
ALL_MODES = pytest.mark.parametrize("mode", list(MessageMode))


def block(index: int, content: Json) -> list[RunEvent]:
    """The events of one block, its text or input in two pieces."""
    start, whole, kind, field = dict(content), "", "", ""
    if content["type"] == "text":
        whole, kind, field = content["text"], "text_delta", "text"
        start["text"] = ""
    elif content["type"] == "thinking":
        whole, kind, field = content["thinking"], "thinking_delta", "thinking"
        start["thinking"] = ""
    elif content["type"] == "tool_use":
        whole, kind, field = (
            '{"command": "wc -l cargo"}' if content["input"] else "",
            "input_json_delta",
            "partial_json",
        )
        start["input"] = {}
    pieces = [whole[:5], whole[5:]] if whole else []
    deltas: list[Json] = [
        {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}} for piece in pieces
    ]
    opening: Json = {"type": "content_block_start", "index": index, "content_block": start}
    closing: Json = {"type": "content_block_stop", "index": index}
    return [ModelEvent(event) for event in (opening, *deltas, closing)]


def message(*contents: Json, stop: str = "end_turn", sequence: str | None = None) -> list[RunEvent]:
    """One message of the model, its blocks numbered from 0, as every message's are."""
    opening = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "usage": {}}
    delta = {"stop_reason": stop, "stop_sequence": sequence}
    return [
        ModelEvent({"type": "message_start", "message": opening}),
        *(event for index, content in enumerate(contents) for event in block(index, content)),
        ModelEvent({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 6}}),
        ModelEvent({"type": "message_stop"}),
    ]


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def ran(content: Any = "7 cargo", **fields: Any) -> ToolsRan:
    return ToolsRan(({"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **fields},))


def folded(
    mode: MessageMode, run: Sequence[RunEvent], *, thinking: bool = False, stop: str | None = None
) -> list[Json]:
    """The caller's events, each of which the grammar has admitted."""
    folder, grammar = StepFolder(mode, thinking=thinking), StreamGrammar()
    events = [shown for event in run for shown in folder.feed(event)]
    events += folder.finish(OUTCOME, stop)
    for event in events:
        grammar.admit(event)
    assert grammar.finished
    return events


def assembled(mode: MessageMode, run: Sequence[RunEvent], *, thinking: bool = False, stop: str | None = None) -> Json:
    assembler = MessageAssembler()
    for event in folded(mode, run, thinking=thinking, stop=stop):
        assembler.feed(event)
    return assembler.message()


TWO_STEPS = [
    *message(THINKING, text("Let me count."), BASH, stop="tool_use"),
    ran(),
    *message(THINKING, text("Seven barrels.")),
]
CALLED = '<tool_use name="Bash">\n{"command": "wc -l cargo"}\n</tool_use>\n'
SHOWN = {
    MessageMode.FORWARD: [
        THINKING,
        text("Let me count."),
        BASH | {"type": "mcp_tool_use", "server_name": "claude_code"},
        {"type": "mcp_tool_result", "tool_use_id": "toolu_1", "is_error": False, "content": [text("7 cargo")]},
        THINKING,
        text("Seven barrels."),
    ],
    MessageMode.FORMATTED: [
        text("Let me count."),
        text(CALLED),
        text("<tool_result>\n7 cargo\n</tool_result>\n"),
        text("Seven barrels."),
    ],
    MessageMode.IGNORE: [text("Let me count."), text("Seven barrels.")],
}


@ALL_MODES
def test_two_steps_are_one_message(mode: MessageMode) -> None:
    folded_message = assembled(mode, TWO_STEPS)
    assert folded_message["content"] == SHOWN[mode]
    assert (folded_message["id"], folded_message["stop_reason"]) == ("msg_1", "end_turn")
    assert folded_message["usage"] == USAGE


@ALL_MODES
def test_two_steps_have_one_beginning_and_one_end(mode: MessageMode) -> None:
    kinds = [event["type"] for event in folded(mode, TWO_STEPS)]
    assert [kind for kind in kinds if kind.startswith("message")] == ["message_start", "message_delta", "message_stop"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("mode", [MessageMode.FORMATTED, MessageMode.IGNORE])
def test_thinking_is_shown_where_the_caller_asked_for_it(mode: MessageMode) -> None:
    assert assembled(mode, TWO_STEPS, thinking=True)["content"].count(THINKING) == 2
    assert THINKING not in assembled(mode, TWO_STEPS)["content"]


@pytest.mark.parametrize("mode", [MessageMode.FORMATTED, MessageMode.IGNORE])
def test_redacted_thinking_goes_the_way_of_thinking(mode: MessageMode) -> None:
    redacted: Json = {"type": "redacted_thinking", "data": "x"}
    run = message(redacted, text("Aye."))
    assert assembled(mode, run)["content"] == [text("Aye.")]
    assert assembled(mode, run, thinking=True)["content"] == [redacted, text("Aye.")]


@ALL_MODES
def test_a_call_of_the_callers_own_tool_is_a_tool_use_in_every_mode(mode: MessageMode) -> None:
    own = BASH | {"name": "weigh"}
    run = message(text("Aye."), own | {"caller_tool": True}, stop="tool_use")
    whole = assembled(mode, run)
    assert whole["content"] == [text("Aye."), own]
    assert whole["stop_reason"] == "tool_use"


@ALL_MODES
def test_the_callers_call_beside_one_of_the_agents_keeps_its_input(mode: MessageMode) -> None:
    own = BASH | {"id": "toolu_2", "name": "weigh"}
    content = assembled(mode, message(BASH, own | {"caller_tool": True}, stop="tool_use"))["content"]
    assert content[-1] == own
    assert len(content) == (1 if mode is MessageMode.IGNORE else 2)


@ALL_MODES
def test_a_run_that_shows_nothing_is_still_a_message(mode: MessageMode) -> None:
    assert assembled(mode, message())["content"] == []


def test_the_stop_of_the_last_step_is_that_of_the_message() -> None:
    run = [*message(BASH, stop="tool_use"), ran(), *message(text("Aye"), stop="stop_sequence", sequence="END")]
    whole = assembled(MessageMode.IGNORE, run)
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "END")


def test_the_run_has_the_last_word_about_its_end() -> None:
    assert assembled(MessageMode.IGNORE, TWO_STEPS, stop="pause_turn")["stop_reason"] == "pause_turn"


def test_a_ping_passes() -> None:
    run: list[RunEvent] = [*message(text("a"))[:1], ModelEvent({"type": "ping"}), *message(text("a"))[1:]]
    assert folded(MessageMode.IGNORE, run)[1] == {"type": "ping"}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("7", ["7"]),
        ([text("7"), text("8")], ["7", "8"]),
        ([{"type": "image", "source": {}}], ['{"type": "image", "source": {}}']),
        ([], []),
        (None, []),
    ],
)
def test_a_result_is_shown_as_text_whatever_it_holds(content: Any, texts: list[str]) -> None:
    run = [*message(BASH, stop="tool_use"), ran(content), *message(text("Aye"))]
    forwarded = assembled(MessageMode.FORWARD, run)["content"][1]
    assert forwarded["content"] == [text(part) for part in texts]
    formatted = assembled(MessageMode.FORMATTED, run)["content"][1]
    assert formatted == text(f"<tool_result>\n{''.join(texts)}\n</tool_result>\n")


def test_a_result_that_is_an_error_says_so() -> None:
    run = [*message(BASH, stop="tool_use"), ran("no such file", is_error=True), *message(text("Aye"))]
    assert assembled(MessageMode.FORWARD, run)["content"][1]["is_error"] is True
    formatted = assembled(MessageMode.FORMATTED, run)["content"][1]["text"]
    assert formatted == '<tool_result is_error="true">\nno such file\n</tool_result>\n'


def test_a_call_without_arguments_is_formatted_as_an_empty_object() -> None:
    run = message(BASH | {"input": {}}, stop="tool_use")
    assert assembled(MessageMode.FORMATTED, run)["content"] == [text('<tool_use name="Bash">\n{}\n</tool_use>\n')]


def test_results_are_shown_in_their_order() -> None:
    results = tuple({"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": ""} for number in range(3))
    run = [*message(BASH, stop="tool_use"), ToolsRan(results), *message(text("Aye"))]
    ids = [block["tool_use_id"] for block in assembled(MessageMode.FORWARD, run)["content"][1:-1]]
    assert ids == ["toolu_0", "toolu_1", "toolu_2"]


def test_results_that_come_before_the_first_word_follow_the_start_of_the_message() -> None:
    folder = StepFolder(MessageMode.FORWARD, thinking=False)
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
    begun = {"type": "message_start", "message": {"id": "m", "content": [], "usage": {}}}
    assert list(folder.feed(ToolsRan((result,)))) == []
    shown = list(folder.feed(ModelEvent(begun)))
    assert [event["type"] for event in shown] == ["message_start", "content_block_start", "content_block_stop"]
