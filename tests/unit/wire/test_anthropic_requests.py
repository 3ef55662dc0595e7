"""Knows which requests are accepted and what is read of them, and that any JSON is judged; it must not know how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from anthropic_requests import DOCUMENT, TOOL, body, call, image, result, user
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.anthropic.requests import (
    check_messages_body,
    parse_count_tokens_request,
    parse_messages_request,
    request_schema,
)

SAFE = 2**53 - 1

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values), json_values)
def test_the_body_is_what_the_caller_wrote(fields: dict[str, Any], extra: Any) -> None:
    fields.pop("thread", None)
    written = {**body(user({"type": "text", "text": "x", "new": extra})), "unknown": fields}
    raw = orjson.dumps(written)
    assert parse_messages_request(raw).body == orjson.loads(raw) == written


def refused_path(written: Any) -> str | None:
    """The path at which a body is refused; None when it is accepted."""
    try:
        parse_messages_request(orjson.dumps(written))
    except InvalidRequest as error:
        return error.path or "the body"
    return None


@given(json_values)
def test_any_json_is_judged_and_never_breaks_the_judge(value: Any) -> None:
    paths = [refused_path(written) for written in (value, body(user(value)), {**body(), "messages": value})]
    assert None not in paths


@given(
    st.sampled_from(["model", "max_tokens", "system", "tools", "tool_choice", "thinking", "stop_sequences"]),
    json_values,
)
def test_a_field_of_any_kind_is_judged_by_its_path(name: str, value: Any) -> None:
    path = refused_path({**body(), name: value})
    assert path is None or path.split(".")[0] == name


def test_the_views_show_the_body() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = check_messages_body(
        body(
            system="s",
            tools=[TOOL],
            tool_choice={"type": "auto"},
            stream=True,
            stop_sequences=["."],
            temperature=1,
            metadata={"user_id": "u"},
            thinking={"type": "adaptive"},
            output_config={"effort": "max", "format": form},
        )
    )
    assert (request.model, request.max_tokens, request.stream, request.system) == ("m", 4096, True, "s")
    assert (request.tools, request.tool_choice, request.stop_sequences) == ([TOOL], {"type": "auto"}, ["."])
    assert (request.temperature, request.metadata, request.thinking) == (1, {"user_id": "u"}, {"type": "adaptive"})
    assert (request.messages, request.output_schema) == ([user()], {"type": "object"})


@pytest.mark.parametrize(
    "accepted",
    [
        body(max_tokens=128000),
        body(max_tokens=0),
        body(user(), {"role": "system", "content": "Be brief."}, user()),
        body(user(), {"role": "system", "output_config": {"effort": "low"}}),
        body(tools=[TOOL, {"type": "web_search_20270101", "name": "web_search"}, {"type": "mcp_toolset"}]),
        body(tools=[{"type": "browser_toolset_20260801"}], tool_choice={"type": "tool", "name": "browser_click"}),
        body(user(), call("call_1", "call_2"), result("call_1"), result("call_2")),
        body(user(), call("a"), call("b"), result("b", "a")),
        body(user(), call("a"), {"role": "system", "content": "x"}, result("a")),
        body(user({"type": "advisor_tool_result"}, {"type": "x_tool_use", "id": "x"}, {"type": "compaction"})),
        body(user(), {"role": "assistant", "content": "So"}),
        body(user(), {"role": "assistant", "content": []}),
        body(
            system=[
                {"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}
            ]
        ),
        body(user({**DOCUMENT, "citations": {"enabled": True}}, image(type="file", file_id="file_1"))),
        body(user({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]})),
        body(user(), {"role": "assistant", "content": [DOCUMENT]}, user(), temperature=1.0, top_p=0, top_k=5),
        body(tools=None, system=None, stream=None, tool_choice=None, thinking=None, metadata=None, thread=None),
        body(output_format={"type": "json_schema", "schema": {}}, mcp_servers=[{}], fallbacks="default", container="c"),
        body(thinking={"type": "between_tools"}),
        body(
            thinking={"type": "disabled"}, tool_choice={"type": "any", "disable_parallel_tool_use": True}, tools=[TOOL]
        ),
    ],
)
def test_what_the_api_accepts_is_accepted(accepted: dict[str, Any]) -> None:
    assert parse_messages_request(orjson.dumps(accepted)).body == accepted


def test_counting_needs_no_max_tokens_and_is_judged_alike() -> None:
    counted = body(max_tokens=..., tools=[TOOL], thinking={"type": "enabled", "budget_tokens": 9000})
    assert parse_count_tokens_request(orjson.dumps(counted)).body == counted
    with pytest.raises(InvalidRequest, match="ids were found without"):
        parse_count_tokens_request(orjson.dumps(body(user(), call("a"), max_tokens=...)))


def test_the_schema_names_every_part() -> None:
    schema = request_schema()
    assert schema["required"] == ["model", "messages", "max_tokens"]
    assert "ToolUseBlock" in schema["$defs"]
    assert "max_tokens" not in request_schema(counting=True)["properties"]


def test_the_module_is_imported_without_pydantic() -> None:
    program = "import sys, pinnace.core.wire.anthropic.requests; sys.exit('pydantic' in sys.modules)"
    root = Path(__file__).resolve().parents[3] / "infra" / "editable"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(root)})
