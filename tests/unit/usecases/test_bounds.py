"""Knows that what a body is bounded by is never less than what a model counts, and when a body bounds nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.usecases.bounds import IMAGE, OUTPUT, Bound, bound_of
from pinnace.testing.answer import estimate_tokens

Body = dict[str, Any]

# Control characters are left out: the scripted model counts the six characters of their escapes.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60) | st.sampled_from(
    ["日本語のテキスト" * 9, "🚢" * 40, '"\\\n\t' * 20]
)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,24}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=3)
TEXTS = st.builds(lambda text: {"type": "text", "text": text}, TEXT)
TOOL_USES = st.builds(
    lambda name, given: {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": given}, NAMES, OBJECTS
)
TOOL_RESULTS = st.builds(
    lambda name, content, failed: {
        "type": "tool_result",
        "tool_use_id": f"toolu_{name}",
        "content": content,
        "is_error": failed,
    },
    NAMES,
    TEXT | st.lists(TEXTS, max_size=3),
    st.booleans(),
)
THOUGHTS = st.builds(lambda text, sign: {"type": "thinking", "thinking": text, "signature": sign}, TEXT, NAMES)
DOCUMENTS = st.builds(
    lambda text, title: {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": text},
        "title": title,
    },
    TEXT,
    TEXT,
)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    TEXT | st.lists(TEXTS | TOOL_USES | TOOL_RESULTS | THOUGHTS | DOCUMENTS, min_size=1, max_size=5),
)
TOOLS = st.builds(
    lambda name, about, schema: {"name": name, "description": about, "input_schema": {"type": "object", **schema}},
    NAMES,
    TEXT,
    OBJECTS,
)
BODIES = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, min_size=1, max_size=5), "max_tokens": st.integers(1, 64_000)},
    optional={"system": TEXT | st.lists(TEXTS, max_size=3), "tools": st.lists(TOOLS, min_size=1, max_size=3)},
)


def asking(*blocks: Body, **more: Any) -> Body:
    return {"max_tokens": 10, "messages": [{"role": "user", "content": list(blocks)}], **more}


def inputs(*blocks: Body, **more: Any) -> int:
    found = bound_of(asking(*blocks, **more)).input
    assert found is not None
    return found


@given(BODIES)
def test_no_body_is_counted_as_more_than_its_bound(body: Body) -> None:
    bound = bound_of(body)
    assert bound.input is not None
    assert bound.input >= estimate_tokens(body)
    assert bound.output == body["max_tokens"]


@given(BODIES)
def test_a_bound_covers_every_byte_of_the_text(body: Body) -> None:
    said = [message["content"] for message in body["messages"] if isinstance(message["content"], str)]
    bound = bound_of(body)
    assert bound.input is not None
    assert bound.input > sum(len(text.encode()) for text in said)


@given(BODIES, MESSAGES)
def test_a_longer_conversation_has_a_larger_bound(body: Body, message: Body) -> None:
    longer, shorter = bound_of({**body, "messages": [*body["messages"], message]}), bound_of(body)
    assert longer.input is not None
    assert shorter.input is not None
    assert longer.input > shorter.input


def test_text_is_bounded_by_its_bytes_and_not_by_its_letters() -> None:
    assert inputs({"type": "text", "text": "é"}) == inputs({"type": "text", "text": "e"}) + 1
    assert inputs({"type": "text", "text": "🚢"}) == inputs({"type": "text", "text": "e"}) + 3
    plain, wide = ({"messages": [{"role": "user", "content": text}]} for text in ("aaa", "日本語"))
    assert (bound_of(wide).input or 0) - (bound_of(plain).input or 0) == 6


@pytest.mark.parametrize("field", ["system", "tools", "output_config"])
def test_what_is_said_beside_the_messages_counts(field: str) -> None:
    schema = {"type": "object", "description": "x" * 5_000}
    given = {
        "system": "x" * 5_000,
        "tools": [{"name": "n", "input_schema": schema}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    assert inputs(**{field: given[field]}) >= inputs() + 5_000


def test_an_image_counts_as_the_largest_that_there_is_however_few_its_bytes() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
    by_address = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    assert inputs(image) == inputs(by_address) >= inputs() + IMAGE
    within = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    assert inputs(within) >= inputs() + IMAGE


def test_a_document_of_blocks_counts_by_its_blocks() -> None:
    text = {"type": "text", "text": "x" * 5_000}
    document = {"type": "document", "source": {"type": "content", "content": [text]}, "title": "y" * 100}
    assert inputs(document) >= inputs() + 5_100


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aaaa"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "container_upload", "file_id": "f"}]}},
        {"type": "document"},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "something_new"},
        {},
    ],
)
def test_what_the_server_holds_is_bounded_by_the_model_alone(block: Body) -> None:
    within = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    assert bound_of(asking(block)) == bound_of(asking(within)) == Bound(None, 10, None)


@pytest.mark.parametrize(
    "field",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {
            "tools": [
                {"name": "mine", "input_schema": {}},
                {"type": "code_execution_20250825", "name": "code_execution"},
            ]
        },
        {"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "n"}]},
    ],
)
def test_what_the_server_does_by_itself_is_bounded_by_nothing(field: Body) -> None:
    assert bound_of(asking(**field)) == Bound(None, 10, None, rounds=None)


def test_what_the_server_does_so_often_reads_the_context_as_often() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 2}
    assert bound_of(asking(tools=[search, fetch])) == Bound(None, 10, None, rounds=6, searches=3)


def test_a_container_is_bounded_by_the_model_alone() -> None:
    assert bound_of(asking(container="container_1")) == Bound(None, 10, None)


def test_a_tool_of_the_caller_is_bounded_whether_or_not_its_type_is_written() -> None:
    named = {"name": "mine", "input_schema": {"type": "object"}}
    assert inputs(tools=[named]) <= inputs(tools=[{"type": "custom", **named}])


def test_where_no_limit_is_given_the_output_is_the_most_that_any_model_writes() -> None:
    assert bound_of({"messages": []}).output == OUTPUT
    assert bound_of({"messages": [], "max_tokens": 7}).output == 7


@pytest.mark.parametrize(
    ("controls", "life"),
    [
        ([], None),
        ([{"type": "ephemeral"}], "5m"),
        ([{"type": "ephemeral", "ttl": "5m"}], "5m"),
        ([{"type": "ephemeral", "ttl": "1h"}], "1h"),
        ([{"type": "ephemeral", "ttl": "5m"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}], "1h"),
    ],
)
def test_the_longest_lived_cache_that_is_asked_for_counts_wherever_it_stands(
    controls: list[Body], life: str | None
) -> None:
    blocks = [{"type": "text", "text": "x", "cache_control": control} for control in controls]
    tools = [{"name": "t", "input_schema": {}, "cache_control": control} for control in controls]
    result = {"type": "tool_result", "tool_use_id": "t", "content": blocks}
    system: Body = {"messages": [], "system": blocks}
    for body in (asking(*blocks), asking(result), asking(tools=tools), system):
        assert bound_of(body).cache == life


def test_a_cache_for_the_whole_request_counts() -> None:
    assert bound_of(asking(cache_control={"type": "ephemeral"})).cache == "5m"
    assert (
        bound_of(asking({"type": "container_upload"}, cache_control={"type": "ephemeral", "ttl": "1h"})).cache == "1h"
    )


def test_talk_about_the_cache_asks_for_none() -> None:
    assert bound_of(asking({"type": "text", "text": '{"cache_control":{"type":"ephemeral","ttl":"1h"}}'})).cache is None


def test_a_body_that_says_nothing_is_bounded_by_the_model_alone() -> None:
    assert bound_of({}) == Bound(None, OUTPUT, None)
