"""Knows what the access log of a real server holds, what it never holds, and who may ask it what."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from served import BOUND, MODEL
from tenants import ADMIN, Tenancy, tenancy

from pinnace.client.command import main
from pinnace.testing.upstream import Upstream

USED = '::usage {"input_tokens": 100, "output_tokens": 20}\n::text aye'


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_AGENT__SPARES="0") as started:
        yield started


def stats(managed: Tenancy, query: str = "", key: str = ADMIN) -> dict[str, Any]:
    answer = managed.admin("GET", f"logs/stats?{query}", key=key)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def lines(managed: Tenancy) -> dict[str, dict[str, Any]]:
    """What is in the files by request id, once what is queued has been written."""
    stats(managed)
    files = (managed.served.directory / "data" / "access").rglob("*.jsonl")
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["request_id"]: line for line in found}


def line_of(managed: Tenancy, answer: httpx.Response) -> dict[str, Any]:
    return lines(managed)[answer.headers["request-id"]]


def test_a_call_leaves_one_line_with_all_that_is_counted(managed: Tenancy) -> None:
    project_id = managed.project()
    made = managed.key(project_id)
    line = line_of(managed, managed.ask(made["key"], USED, stream=True))
    moment = datetime.fromisoformat(line.pop("ts"))
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=BOUND)
    assert 0 < line.pop("first_delta_ms") <= line.pop("duration_ms")
    assert line.pop("user_agent").startswith("python-httpx/")
    assert line.pop("request_id").startswith("req_")
    assert line == {
        "project_id": project_id,
        "key_id": made["id"],
        "method": "POST",
        "path": "/v1/messages",
        "status": 200,
        "error": None,
        "model": MODEL,
        "profile": "messages",
        "stream": True,
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cost_usd": 0.0004,
        "cache": None,
    }


def test_a_batch_has_what_its_calls_used_and_the_metrics_have_it_too(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    before = tokens(managed)
    asked = {"requests": [USED, {"prompt": USED, "model": "claude-haiku-4-5"}, "::error 529"], "model": MODEL}
    line = line_of(
        managed,
        managed.served.http.post(f"{managed.served.url}/api/v1/batch", json=asked, headers={"x-api-key": secret}),
    )
    assert (line["project_id"], line["path"], line["model"]) == (project_id, "/v1/batch", None)
    assert (line["input_tokens"], line["output_tokens"], line["cost_usd"]) == (200, 40, 0.0006)
    assert tokens(managed) - before == 40


def tokens(managed: Tenancy) -> float:
    """Tokens of output in the `messages` profile, as the metrics have them."""
    text = managed.served.http.get(f"{managed.served.url}/metrics").text
    name = 'pinnace_tokens_total{kind="output",profile="messages"} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def test_a_batch_for_another_project_is_that_projects(managed: Tenancy) -> None:
    project_id = managed.project()
    answer = managed.admin("POST", "batch", {"requests": [USED], "model": MODEL, "project_id": project_id})
    line = line_of(managed, answer)
    assert (line["project_id"], line["key_id"], line["model"]) == (project_id, None, MODEL)
    assert stats(managed, f"project_id={project_id}")["requests"] == 1


def test_a_kept_answer_is_a_hit_and_costs_nothing(managed: Tenancy) -> None:
    _, secret = managed.secret()
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": USED}]}
    headers = {"x-api-key": secret, "x-pinnace-cache": "on"}
    answers = [
        managed.served.http.post(f"{managed.served.url}/api/v1/messages", json=body, headers=headers) for _ in range(2)
    ]
    kept = [line_of(managed, answer) for answer in answers]
    assert [(line["cache"], line["cost_usd"]) for line in kept] == [("miss", 0.0004), ("hit", 0)]


def test_a_caller_who_left_is_written_down(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "::hang"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{managed.served.url}/api/v1/messages",
            json=body,
            headers={"x-api-key": secret},
            timeout=1,
            trust_env=False,
        )
    deadline = time.monotonic() + 10
    while not (found := [line for line in lines(managed).values() if line["project_id"] == project_id]):
        assert time.monotonic() < deadline
    assert [(line["status"], line["error"], line["model"]) for line in found] == [(499, "client_left", MODEL)]


@pytest.mark.parametrize(
    ("method", "path", "template", "status"),
    [
        ("GET", "models/no-such-model?api_key=pn-hidden", "/v1/models/{model_id}", 404),
        ("GET", "projects/prj_hidden", "/v1/projects/{project_id}", 404),
        ("PUT", "usage", "/v1/usage", 405),
        ("GET", "nowhere/hidden", "unknown", 404),
    ],
)
def test_a_path_is_its_route(managed: Tenancy, method: str, path: str, template: str, status: int) -> None:
    line = line_of(managed, managed.admin(method, path))
    assert (line["method"], line["path"], line["status"]) == (method, template, status)
    assert line["error"] in {"not_found_error", "invalid_request_error"}


def test_the_log_holds_no_secret_no_prompt_and_no_answer(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    words = {
        "prompt": "barnacle",
        "answer": "cuttlefish",
        "system": "dogfish",
        "metadata": "eelgrass",
        "id": "flounder",
    }
    managed.ask(
        secret,
        f"{words['prompt']}\n::text {words['answer']}",
        system=words["system"],
        metadata={"user_id": words["metadata"]},
    )
    managed.admin("GET", f"projects/{words['id']}?key={secret}")
    managed.served.http.get(f"{managed.served.url}/v1/usage", headers={"authorization": "Bearer pn-gurnard"})
    managed.ask(secret, "x", model="", tools="hake")
    written = "".join(json.dumps(line) for line in lines(managed).values())
    assert project_id in written
    for hidden in (*words.values(), secret, ADMIN, "sk-", "gurnard", "hake", "127.0.0.1"):
        assert hidden not in written


def test_ones_own_last_request_is_counted(managed: Tenancy) -> None:
    project_id = managed.project()
    made = managed.key(project_id)
    for number in range(1, 4):
        managed.ask(made["key"], USED)
        assert stats(managed, f"project_id={project_id}")["requests"] == number


def test_statistics_are_by_model_hour_and_path(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    managed.ask(secret, USED)
    managed.ask(secret, USED, model="claude-haiku-4-5")
    managed.ask(secret, "::error 529")
    shown = stats(managed, f"project_id={project_id}&period=day")
    assert (shown["project_id"], shown["period"]) == (project_id, "day")
    assert (shown["from"], shown["to"]) == (shown["to"], datetime.now(UTC).strftime("%Y-%m-%d"))
    assert (shown["requests"], shown["errors"], shown["error_rate"]) == (3, 1, 0.333333)
    sonnet, haiku = shown["by_model"]
    assert (sonnet["model"], sonnet["requests"], sonnet["input_tokens"], sonnet["output_tokens"]) == (MODEL, 2, 100, 20)
    assert (haiku["model"], haiku["requests"]) == ("claude-haiku-4-5", 1)
    assert Decimal(str(sonnet["cost_usd"])) == Decimal("0.0004")
    assert sonnet["p50_ms"] <= sonnet["avg_duration_ms"] <= sonnet["p95_ms"]
    assert sum(hour["requests"] for hour in shown["by_hour"]) == 3
    assert all(hour["hour"].endswith(":00:00Z") for hour in shown["by_hour"])
    (path,) = shown["by_path"]
    assert (path["path"], path["requests"], path["p95_ms"]) == ("/v1/messages", 3, path["max_ms"])
    assert 0 < path["p50_ms"] <= path["p95_ms"] <= path["p99_ms"]


def test_a_key_sees_its_own_project_and_an_administrator_any_or_all(managed: Tenancy) -> None:
    first, second = managed.project(), managed.project()
    own, other = managed.key(first)["key"], managed.key(second)["key"]
    managed.ask(own, USED)
    managed.ask(other, USED)
    managed.ask(other, USED)
    # The questions of a key are requests of its project too, so models are what is compared.
    assert [model["requests"] for model in stats(managed, key=own)["by_model"]] == [1]
    assert [model["requests"] for model in stats(managed, key=other)["by_model"]] == [2]
    assert stats(managed, key=own)["project_id"] == first
    assert [model["requests"] for model in stats(managed, f"project_id={second}")["by_model"]] == [2]
    everything = stats(managed)
    assert everything["project_id"] is None
    assert sum(model["requests"] for model in everything["by_model"]) >= 3


def test_another_projects_id_is_as_unknown_as_one_that_is_none(managed: Tenancy) -> None:
    own, other = managed.key(managed.project())["key"], managed.project()
    for project_id in (other, "prj_none", "default", ""):
        answer = managed.admin("GET", f"logs/stats?project_id={project_id}", key=own)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (404, "not_found_error")
        assert error["message"] == f"There is no project {project_id!r}."
    assert managed.admin("GET", "logs/stats?project_id=prj_none").status_code == 404


def test_a_key_without_the_scope_is_refused(managed: Tenancy) -> None:
    made = managed.key(managed.project(), scopes=["messages"])
    assert managed.admin("GET", "logs/stats", key=made["key"]).status_code == 403
    assert managed.admin("GET", "logs/stats", key="pn-none").status_code == 401


@pytest.mark.parametrize("query", ["period=decade", "from=yesterday", "to=2026-02-30", "period=2026-13"])
def test_a_period_that_is_none_is_refused(managed: Tenancy, query: str) -> None:
    answer = managed.admin("GET", f"logs/stats?{query}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("query", ["period=2026-02", "from=2026-01-01&to=2026-01-31", "from=2026-02-02&to=2026-02-01"])
def test_a_period_without_requests_is_empty(managed: Tenancy, query: str) -> None:
    shown = stats(managed, query)
    assert (shown["requests"], shown["error_rate"]) == (0, 0.0)
    assert (shown["by_model"], shown["by_hour"], shown["by_path"]) == ([], [], [])


def command(managed: Tenancy, *arguments: str) -> str:
    data_dir = str(managed.served.directory / "data")
    environment = {"PINNACE_URL": managed.served.url, "PINNACE_ADMIN_KEY": ADMIN, "PINNACE_DATA_DIR": data_dir}
    result = CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_shows_statistics_and_runs_sql(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    managed.ask(secret, USED)
    shown = command(managed, "logs", "stats", "--project", project_id, "--period", "day")
    assert f"{project_id}, " in shown
    assert "1 requests, 0 errors (0.0%)" in shown
    assert "$0.000400" in shown
    assert json.loads(command(managed, "logs", "stats", "--json", "--from", "2026-01-01"))["period"] == "custom"
    sql = f"SELECT model, cost_usd FROM access_log WHERE project_id = '{project_id}'"  # noqa: S608 - an id of the test's own
    assert command(managed, "logs", "sql", sql, "--csv") == f"model,cost_usd\n{MODEL},0.000400\n"
    assert json.loads(command(managed, "logs", "sql", sql, "--json")) == [{"model": MODEL, "cost_usd": 0.0004}]
    assert command(managed, "logs", "sql", sql).split() == ["model", "cost_usd", MODEL, "0.000400"]


def test_what_was_answered_last_is_written_when_the_server_stops(upstream: Upstream, tmp_path: Path) -> None:
    with tenancy(tmp_path, upstream, PINNACE_AGENT__SPARES="0") as managed:
        last = managed.admin("GET", "projects").headers["request-id"]
    written = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "data" / "access").rglob("*.jsonl"))
    assert last in written
    assert written.endswith("}\n")


def test_a_log_that_is_off_writes_nothing_and_says_so(upstream: Upstream, tmp_path: Path) -> None:
    variables = {"PINNACE_ACCESS_LOG__ENABLED": "false", "PINNACE_AGENT__SPARES": "0"}
    with tenancy(tmp_path, upstream, **variables) as managed:
        answer = managed.admin("GET", "logs/stats")
    assert (answer.status_code, answer.json()["error"]["type"]) == (501, "api_error")
    assert "access_log.enabled" in answer.json()["error"]["message"]
    assert not (tmp_path / "data" / "access").exists()
