"""Knows the language of the directives: how lines become turns of steps; it must not know what a step answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.testing import script
from pinnace.testing.answer import Answer, Piece, Wait
from pinnace.testing.script import DIRECTIVES, Step, Turn, read, turn_for, words


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def assistant(content: str = "Aye") -> dict[str, Any]:
    return {"role": "assistant", "content": content}


RESULT: dict[str, Any] = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "::text no"}],
}


def steps(*messages: dict[str, Any]) -> tuple[Step, ...]:
    turn = turn_for(messages)
    assert turn is not None
    return turn.steps


def test_each_directive_of_the_specification_is_read() -> None:
    lines = [line.split() for line in (script.__doc__ or "").splitlines() if line.startswith("    ::")]
    names = {line[0].removeprefix("::") for line in lines}
    assert names == DIRECTIVES


@pytest.mark.parametrize("name", ["text", "thinking", "garbage", "cut"])
def test_a_directive_is_a_name_and_an_argument(name: str) -> None:
    assert read([f"::{name}", f"::{name}  some  words "])[0].steps == (Step(name), Step(name, "some  words"))


@pytest.mark.parametrize(
    "line",
    [
        '::text "open',
        '::thinking "open',
        "::deltas many words",
        "::deltas",
        "::tool",
        "::tool Read {open",
        "::tool Read [1]",
        "::block {}",
        "::block 5",
        "::stop",
        "::usage 5",
        "::pace soon",
        "::pace -1",
        "::delay inf",
        "::delay",
        '::event "ping"',
        "::header",
        "::header a:b c",
        "::header a ä",
        "::error",
        "::error soon",
        "::error 200",
        "::error 999",
        "::times 0",
        "::times",
    ],
)
def test_an_argument_that_does_not_fit_is_told_what_would(line: str) -> None:
    with pytest.raises(ValueError, match=rf"^{line.split(maxsplit=1)[0]} takes "):
        read([line])


@pytest.mark.parametrize("line", ["::txet a", "::", "::Text a", ":: ::text a"])
def test_a_directive_that_is_unknown_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="unknown directive ::"):
        read([line])


def test_a_turn_ends_where_the_next_begins() -> None:
    turns = read(["::text a", "::stop end_turn", "::turn", "::text b", "::turn"])
    assert [turn.steps for turn in turns] == [(Step("text", "a"), Step("stop", "end_turn")), (Step("text", "b"),), ()]
    assert len({turn.key for turn in turns}) == 3


def test_times_is_about_the_next_directive_alone() -> None:
    assert read(["::times 2", "::error 529", "::text a"])[0].steps == (Step("error", "529", 2), Step("text", "a"))


@pytest.mark.parametrize("content", ["Ahoy", "", [], [{"type": "image"}], None, "a ::text b", " ::text b"])
def test_a_prompt_without_a_directive_has_no_script(content: Any) -> None:
    assert turn_for([{"role": "user", "content": content}]) is None


def test_no_messages_have_no_script() -> None:
    assert turn_for([]) is None


def test_directives_are_lines_among_others_in_any_text_of_the_user() -> None:
    message = user("Hello\n::text a\nand\n::stop end_turn", "::ping")
    assert steps(message) == (Step("text", "a"), Step("stop", "end_turn"), Step("ping"))
    assert steps({"role": "user", "content": "Hello\n::text a"}) == (Step("text", "a"),)


def test_directives_of_the_assistant_and_in_results_do_not_count() -> None:
    assert turn_for([user("Ahoy"), assistant("::text a"), RESULT]) is None


def test_the_last_script_counts() -> None:
    assert steps(user("::text a"), assistant(), user("::text b")) == (Step("text", "b"),)


def test_each_user_message_after_the_script_moves_on_by_a_turn_and_the_last_repeats() -> None:
    conversation = [user("::text 0\n::turn\n::text 1\n::turn\n::text 2")]
    seen = []
    for _ in range(4):
        seen.append(steps(*conversation)[0].argument)
        conversation += [assistant(), RESULT]
    assert seen == ["0", "1", "2", "2"]


@given(st.text().filter(lambda text: not text.startswith('"')))
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(words(text)) == text


@pytest.mark.parametrize(
    ("argument", "pieces"), [("a b", ["a", " b"]), ('"a\\nb c"', ["a\nb", " c"]), ("", [""]), ('""', [""])]
)
def test_words_are_deltas_and_a_json_string_is_decoded_first(argument: str, pieces: list[str]) -> None:
    assert words(argument) == pieces


def waits(*given_steps: Step) -> list[Wait]:
    pieces: list[Piece] = list(Answer({"messages": []}).pieces(Turn(given_steps, "key"), lambda *_: True))
    return [piece for piece in pieces if isinstance(piece, Wait)]


def test_pace_waits_before_each_delta_that_follows() -> None:
    assert waits(Step("text", "a b"), Step("pace", "0.5"), Step("text", "c d e")) == [Wait(0.5)] * 3
    assert waits(Step("pace", "0.5"), Step("deltas", "2 x"), Step("pace", "0"), Step("text", "a b")) == [Wait(0.5)] * 2


def test_delay_waits_once_and_hang_forever() -> None:
    assert waits(Step("delay", "1.5"), Step("text", "a b"), Step("hang")) == [Wait(1.5), Wait(None)]
