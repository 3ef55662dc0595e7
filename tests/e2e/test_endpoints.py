"""Knows the endpoints beside messages, the key, the prefixes and the records, through a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest
from served import MODEL, Served, serving

PREFIXES = ["", "/api", "/sdk"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_tokens_are_counted_by_the_upstream(served: Served, prefix: str) -> None:
    counted = served.client(prefix).messages.count_tokens(
        model="haiku", messages=[{"role": "user", "content": "hello"}]
    )
    asked = [seen for seen in served.upstream.requests if seen.path == "/v1/messages/count_tokens"]
    assert counted.input_tokens > 0
    assert asked[-1].body == {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_models_are_listed_page_by_page(served: Served, prefix: str) -> None:
    client = served.client(prefix)
    ids = [model.id for model in client.models.list(limit=1)]
    assert len(ids) == len(set(ids)) > 2
    assert MODEL in ids
    assert client.models.retrieve("sonnet").id == MODEL
    with pytest.raises(anthropic.NotFoundError, match="model: nothing"):
        client.models.retrieve("nothing")


def test_an_openai_client_gets_its_own_list_of_models(served: Served) -> None:
    listed = served.http.get(f"{served.url}/v1/models").json()
    assert listed["object"] == "list"
    assert {"id", "object", "created", "owned_by"} <= listed["data"][0].keys()


@pytest.mark.parametrize("alias", ["auto", "haiku", "sonnet", "opus"])
def test_an_alias_becomes_the_models_id(served: Served, alias: str) -> None:
    served.ask("hi", model=alias)
    assert served.upstream.bodies[0]["model"].startswith("claude-")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_config_shows_settings_and_no_secret(served: Served, prefix: str) -> None:
    shown = served.http.get(f"{served.url}{prefix}/v1/config")
    assert shown.json()["pool"]["max_processes"] == 8
    assert "sk-upstream-secret" not in shown.text


def test_health_metrics_and_pool(served: Served) -> None:
    served.ask("::text a")
    health = served.http.get(f"{served.url}/health").json()
    assert (health["status"], health["cli"]["version"]) == ("ok", "2.1.329")
    metrics = served.http.get(f"{served.url}/metrics").text
    assert 'pinnace_requests_total{path="/v1/messages",status="200"}' in metrics
    assert 'pinnace_tokens_total{kind="output",profile="messages"}' in metrics
    assert served.stats()["served"] > 0


def test_every_answer_carries_its_ids_and_the_caller_finds_its_own(served: Served) -> None:
    answer = served.http.get(f"{served.url}/health", headers={"x-request-id": "mine-1"})
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["x-request-id"] == "mine-1"
    strange = served.http.get(f"{served.url}/health", headers={"x-request-id": 'a"b c'})
    assert strange.headers["x-request-id"] == strange.headers["request-id"]


def records(served: Served) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in served.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "pinnace.access"]


def test_a_call_leaves_one_access_record_with_what_it_used(served: Served) -> None:
    request_id = served.ask('::text a\n::usage {"input_tokens": 11, "output_tokens": 7}').headers["request-id"]
    served.wait_until(lambda: any(record["request_id"] == request_id for record in records(served)))
    (record,) = [record for record in records(served) if record["request_id"] == request_id]
    assert (record["status"], record["model"], record["profile"]) == (200, MODEL, "messages")
    assert (record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == (11, 7)
    assert record["cost_microusd"] == 11 * 2 + 7 * 10


def test_a_stream_that_its_caller_left_leaves_one_record_too(served: Served) -> None:
    body = {
        "model": MODEL,
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "::text a\n::hang"}],
    }
    with served.http.stream("POST", f"{served.url}/api/v1/messages", json=body) as answer:
        request_id = answer.headers["request-id"]
    served.wait_until(lambda: any(record["request_id"] == request_id for record in records(served)))
    (record,) = [record for record in records(served) if record["request_id"] == request_id]
    assert record["cut"] is True
    assert record["usage"]["input_tokens"] > 0


def test_the_key_of_the_configuration_is_asked_for(served: Served, own_directory: Path) -> None:
    body = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text a"}]}
    with serving(own_directory, served.upstream, PINNACE_API_KEY="pn-right", PINNACE_AGENT__SPARES="0") as own:
        for headers in ({"x-api-key": "pn-right"}, {"authorization": "Bearer pn-right"}):
            assert own.http.post(f"{own.url}/api/v1/messages", json=body, headers=headers).status_code == 200
        for wrong in ({}, {"x-api-key": "pn-wrong"}, {"authorization": "pn-right"}):
            answer = own.http.post(f"{own.url}/api/v1/messages", json=body, headers=wrong)
            assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
        assert own.http.get(f"{own.url}/v1/config").status_code == 401
        assert own.http.get(f"{own.url}/health").status_code == 200


def test_the_profile_comes_from_the_header_then_the_prefix_then_the_setting(served: Served) -> None:
    def tools(prefix: str, **headers: str) -> int:
        served.upstream.forget()
        served.post(
            {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text a"}]}, prefix, **headers
        )
        return len(served.upstream.bodies[0].get("tools", []))

    assert tools("/api") == 0
    assert tools("/sdk") > 0
    assert tools("") > 0
    assert tools("/sdk", x_pinnace_profile="messages") == 0


ASKED = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "::text a"}]}


def test_a_server_without_keys_is_not_called_by_a_name_that_a_page_gave_out(served: Served) -> None:
    answers = {
        host: served.post(ASKED, host=host).status_code
        for host in ("localhost:1", "127.0.0.1", "evil.example", "127.0.0.1.evil.example:80")
    }
    assert answers == {"localhost:1": 200, "127.0.0.1": 200, "evil.example": 403, "127.0.0.1.evil.example:80": 403}
    refused = served.post(ASKED, host="evil.example").json()["error"]
    assert refused["type"] == "permission_error"
    assert "allowed_hosts" in refused["message"]
