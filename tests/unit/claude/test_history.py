"""Knows what the agent refuses, how a conversation becomes its history and when two are one; it must not know the CLI."""

from __future__ import annotations

from typing import Any

import pytest

from pinnace.core.adapters.claude import history
from pinnace.core.errors import InvalidRequest

Json = dict[str, Any]


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(content: Any) -> Json:
    return {"role": "assistant", "content": content}


def text(words: str, **fields: Any) -> Json:
    return {"type": "text", "text": words, **fields}


def call(call_id: str, name: str = "weigh", kind: str = "tool_use") -> Json:
    return {"type": kind, "id": call_id, "name": name, "input": {"kg": 1}}


def result(call_id: str, content: Any = "12", kind: str = "tool_result", **fields: Any) -> Json:
    return {"type": kind, "tool_use_id": call_id, "content": content, **fields}


QUESTION: Json = {"messages": [user("Ahoy")]}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        *(({name: {"type": "x"}}, name) for name in history.REFUSED),
        ({"messages": [user("a"), {"role": "system", "content": "b"}, user("c")]}, "messages.1.role"),
        ({"messages": [user("a"), assistant("b")]}, "messages.1"),
        ({"tools": [{"name": "own", "input_schema": {}}, {"type": "web_search_20250305"}]}, "tools.1.type"),
        ({"tools": [{"type": "mcp_toolset"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "none"}}, "tool_choice.type"),
    ],
)
def test_what_the_agent_cannot_carry_is_refused_by_its_path(fields: Json, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        history.check(QUESTION | fields)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        dict.fromkeys((*history.REFUSED, *history.CARRIED)),
        {"tools": None, "tool_choice": None},
        {"tools": [{"name": "a"}, {"name": "b", "type": "custom"}, {"name": "c", "type": None}]},
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": {"type": "tool", "name": "a"}},
        {"messages": [user("a"), assistant("b"), user("c"), user("d")]},
    ],
)
def test_what_the_agent_can_carry_passes(fields: Json) -> None:
    history.check(QUESTION | fields)


def test_parameters_are_those_that_were_given_and_nothing_of_the_conversation() -> None:
    body = QUESTION | {"model": "m", "max_tokens": 5, "temperature": 0, "top_k": None, "system": "s", "stream": True}
    assert history.parameters(body) == {"max_tokens": 5, "temperature": 0}


def test_a_chosen_tool_goes_by_the_name_that_the_agent_knows() -> None:
    chosen = {"type": "tool", "name": "weigh", "disable_parallel_tool_use": True}
    assert history.parameters(QUESTION | {"tool_choice": chosen})["tool_choice"] == {
        "type": "tool",
        "name": "mcp__caller__weigh",
        "disable_parallel_tool_use": True,
    }
    auto = {"type": "auto", "disable_parallel_tool_use": True}
    assert history.parameters(QUESTION | {"tool_choice": auto})["tool_choice"] == auto


@pytest.mark.parametrize(
    ("system", "expected"), [(None, ""), ("", ""), ("a", "a"), ([text("a"), text("b", cache_control={})], "a\n\nb")]
)
def test_a_system_prompt_is_one_text(system: Any, expected: str) -> None:
    assert history.system_text(system) == expected


def test_neighbours_of_one_role_are_one_turn() -> None:
    messages = [user("a"), user([text("b"), text("c")]), assistant("d"), assistant([text("e")]), user("f")]
    assert history.turns(messages) == [
        ("user", [text("a"), text("b"), text("c")]),
        ("assistant", [text("d"), text("e")]),
        ("user", [text("f")]),
    ]


def test_no_messages_are_no_turns() -> None:
    assert history.turns([]) == []


def test_the_agents_own_steps_become_the_turns_that_they_were() -> None:
    answer = [
        text("Let me look."),
        call("m1", "Bash", "mcp_tool_use") | {"server_name": "claude_code"},
        result("m1", [text("seven")], "mcp_tool_result", is_error=False),
        call("m2", "Read", "mcp_tool_use"),
        result("m2", [text("no such file")], "mcp_tool_result", is_error=True),
        text("Seven."),
    ]
    assert history.turns([user("How many?"), assistant(answer), user("Thanks")]) == [
        ("user", [text("How many?")]),
        ("assistant", [text("Let me look."), call("m1", "Bash")]),
        ("user", [result("m1", [text("seven")])]),
        ("assistant", [call("m2", "Read")]),
        ("user", [result("m2", [text("no such file")], is_error=True)]),
        ("assistant", [text("Seven.")]),
        ("user", [text("Thanks")]),
    ]


def test_the_callers_tools_carry_the_prefix_and_the_agents_own_do_not() -> None:
    answer = [call("m1", "Bash", "mcp_tool_use"), call("t1", "weigh"), result("m1", [], "mcp_tool_result")]
    assert history.turns([user("a"), assistant(answer), user([result("t1")])])[1:] == [
        ("assistant", [call("m1", "Bash"), call("t1", "mcp__caller__weigh")]),
        ("user", [result("m1", []), result("t1")]),
    ]


@pytest.mark.parametrize("kind", ["tool_use", "mcp_tool_use"])
@pytest.mark.parametrize("after", [[], [user("Never mind")], [user([result("other")])]])
def test_a_call_without_a_result_in_the_next_turn_is_left_out(kind: str, after: list[Json]) -> None:
    turns = history.turns([user("a"), assistant([text("b"), call("t1", kind=kind)]), *after])
    assert turns[1] == ("assistant", [text("b")])


def test_a_result_that_comes_a_turn_late_does_not_keep_its_call() -> None:
    messages = [user("a"), assistant([text("b"), call("t1")]), user("c"), assistant("d"), user([result("t1")])]
    assert history.turns(messages)[1] == ("assistant", [text("b")])


def test_the_callers_messages_are_not_changed() -> None:
    answer = [call("t1"), call("m1", "Bash", "mcp_tool_use")]
    messages = [user("a"), assistant(answer), user([result("t1")])]
    history.turns(messages)
    assert messages == [user("a"), assistant([call("t1"), call("m1", "Bash", "mcp_tool_use")]), user([result("t1")])]


@pytest.mark.parametrize(
    ("messages", "index"),
    [
        ([user("a")], 0),
        ([user("a"), user("b")], 0),
        ([user("a"), assistant("b"), user("c")], 2),
        ([user("a"), assistant("b"), user("c"), user("d")], 2),
        ([user("a"), assistant("b"), user("c"), assistant("d"), user([result("t1")])], 4),
        ([user("a"), assistant("b")], 2),
        ([], 0),
    ],
)
def test_a_new_turn_begins_after_the_last_answer(messages: list[Json], index: int) -> None:
    assert history.new_turn(messages) == index


BODY: Json = {"system": "Be brief", "tools": [{"name": "weigh", "input_schema": {"type": "object"}}]}
SAID = [user("Ahoy"), assistant([text("Aye"), call("t1")]), user([result("t1")]), assistant("12 kg")]


def name(said: list[Json] | None = None, project: str = "harbour", model: str = "claude-x", **fields: Any) -> str:
    return history.fingerprint(project, model, BODY | fields, SAID if said is None else said)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([user([text("Ahoy")]), *SAID[1:3], assistant([text("12 kg")])], id="blocks for a string"),
        pytest.param([user([text("Ahoy", cache_control={"type": "ephemeral"})]), *SAID[1:]], id="a mark on a text"),
        pytest.param(
            [*SAID[:2], user([result("t1", cache_control={"type": "ephemeral"})]), SAID[3]], id="a mark on a result"
        ),
        pytest.param(
            [SAID[0], assistant([text("Aye"), call("t1") | {"cache_control": {"type": "ephemeral"}}]), *SAID[2:]],
            id="a mark on a call",
        ),
        pytest.param(
            [
                SAID[0],
                assistant(
                    [
                        {"type": "thinking", "thinking": "Hm", "signature": "s"},
                        {"type": "redacted_thinking", "data": "x"},
                        *SAID[1]["content"],
                    ]
                ),
                *SAID[2:],
            ],
            id="thinking",
        ),
        pytest.param(
            [
                *SAID[:3],
                assistant(
                    [call("m", "Bash", "mcp_tool_use"), result("m", [], "mcp_tool_result"), text("12"), text(" kg")]
                ),
            ],
            id="the agent's own steps, and text in pieces",
        ),
        pytest.param([user("Ah"), user("oy"), *SAID[1:]], id="a turn in two messages"),
        pytest.param(
            [*SAID[:2], user([result("t1", [text("12")], is_error=False)]), SAID[3]], id="the form of a result"
        ),
    ],
)
def test_what_a_client_may_change_leaves_a_conversation_the_same(said: list[Json]) -> None:
    assert name(said) == name()


@pytest.mark.parametrize("system", [[text("Be brief")], [text("Be brief", cache_control={"type": "ephemeral"})]])
def test_the_form_of_a_system_prompt_leaves_a_conversation_the_same(system: list[Json]) -> None:
    assert name(system=system) == name()


def test_a_mark_on_a_tool_leaves_a_conversation_the_same() -> None:
    assert name(tools=[BODY["tools"][0] | {"cache_control": {"type": "ephemeral"}}]) == name()


def test_the_order_of_keys_leaves_a_conversation_the_same() -> None:
    assert name(tools=[{"input_schema": {"type": "object"}, "name": "weigh"}]) == name()


def test_the_parameters_of_a_call_leave_a_conversation_the_same() -> None:
    assert name(max_tokens=7, temperature=1.0, metadata={"user_id": "u"}) == name()


@pytest.mark.parametrize(
    "other",
    [
        {"project": "other"},
        {"model": "claude-y"},
        {"system": "Be long"},
        {"system": None},
        {"tools": []},
        {"tools": [{"name": "weigh", "input_schema": {"type": "string"}}]},
        {"said": [user("Ahoi"), *SAID[1:]]},
        {"said": [*SAID[:3], assistant("13 kg")]},
        {"said": [SAID[0], assistant([text("Aye"), call("t2")]), *SAID[2:]]},
        {"said": [*SAID[:2], user([result("t1", "13")]), SAID[3]]},
        {"said": SAID[:3]},
        {"said": []},
        {"said": [assistant("Ahoy"), *SAID[1:]]},
        {"said": [user("Ahoy12 kg")]},
    ],
)
def test_another_conversation_has_another_name(other: Json) -> None:
    assert name(**other) != name()


def test_text_that_moves_from_one_speaker_to_the_other_makes_another_conversation() -> None:
    assert name([user("ab"), assistant("c")]) != name([user("a"), assistant("bc")])


def test_projects_and_models_do_not_run_into_each_other() -> None:
    assert name(project="a", model="bc") != name(project="ab", model="c")
