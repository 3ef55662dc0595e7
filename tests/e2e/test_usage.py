"""Knows what is told of usage: by project, key, model and day, as JSON and CSV, and what `auto` would be."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tenants import Tenancy, tenancy

from pinnace.testing.upstream import Upstream

USED = '::usage {"input_tokens": 100, "output_tokens": 20}\n::text aye'


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream) as started:
        yield started


@pytest.fixture(scope="module")
def project(managed: Tenancy) -> tuple[str, str, str]:
    """A project with calls of two keys, to two models, of which one failed."""
    project_id = managed.project()
    first, second = managed.key(project_id), managed.key(project_id)
    assert managed.ask(first["key"], USED).status_code == 200
    assert managed.ask(first["key"], USED, model="claude-haiku-4-5").status_code == 200
    assert managed.ask(second["key"], USED, "/sdk").status_code == 200
    assert managed.ask(second["key"], "::error 529").status_code == 529
    return project_id, first["id"], second["id"]


def usage(managed: Tenancy, query: str) -> dict[str, Any]:
    answer = managed.admin("GET", f"usage?{query}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_calls_add_up_by_model_key_and_day(managed: Tenancy, project: tuple[str, str, str]) -> None:
    project_id, first, second = project
    shown = usage(managed, f"project_id={project_id}&period=month")
    assert (shown["project_id"], shown["period"], shown["requests"]) == (project_id, "month", 4)
    assert shown["total_tokens"] == 360
    # Sonnet is $2 in and $10 out for a million tokens, haiku 4.5 is $1 and $5.
    assert Decimal(str(shown["total_cost"])) == 2 * Decimal("0.0004") + Decimal("0.0002")
    assert {model: counted["total_tokens"] for model, counted in shown["by_model"].items()} == {
        "claude-haiku-4-5": 120,
        "claude-sonnet-5-5": 240,
    }
    assert {key: counted["requests"] for key, counted in shown["by_key"].items()} == {first: 2, second: 2}
    assert list(shown["by_day"]) == [datetime.now(UTC).strftime("%Y-%m-%d")]


def test_a_question_can_be_narrower(managed: Tenancy, project: tuple[str, str, str]) -> None:
    project_id, first, _ = project
    assert usage(managed, f"project_id={project_id}&key_id={first}")["total_tokens"] == 240
    assert usage(managed, f"project_id={project_id}&model=claude-haiku-4-5")["total_tokens"] == 120
    assert usage(managed, f"project_id={project_id}&from=2026-01-01&to=2026-01-31")["requests"] == 0
    for period in ("day", "week", "all", datetime.now(UTC).strftime("%Y-%m")):
        assert usage(managed, f"project_id={project_id}&period={period}")["requests"] == 4


def test_a_spreadsheet_gets_a_line_for_each_day_key_and_model(managed: Tenancy, project: tuple[str, str, str]) -> None:
    answer = managed.admin("GET", f"usage?project_id={project[0]}&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["model"] for line in lines if line["key_id"] == project[1]] == [
        "claude-haiku-4-5",
        "claude-sonnet-5-5",
    ]
    assert sum(int(line["total_tokens"]) for line in lines) == 360
    assert sum(Decimal(line["cost_usd"]) for line in lines) == Decimal("0.001")


@pytest.mark.parametrize("query", ["period=decade", "from=yesterday", "to=2026-02-30", "format=xml", "period=2026-13"])
def test_a_period_that_is_none_is_refused(managed: Tenancy, query: str) -> None:
    answer = managed.admin("GET", f"usage?{query}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(query.partition("=")[0])


def test_the_route_says_which_model_and_why(managed: Tenancy) -> None:
    for task, size, model, rule in (
        ("Translate 'harbour' to French.", 10, "haiku", "short_and_simple"),
        ("Debug the failing checkout.", 100, "sonnet", "analysis"),
        ("Summarise this.", 50_000, "opus", "large_context"),
    ):
        answer = managed.admin("POST", "route", {"task_description": task, "context_size": size}).json()
        assert model in answer["recommended_model"]
        assert (answer["rule"], answer["reasons"][0]["code"]) == (rule, rule)
        assert answer["reasoning"]
        costs = [estimate["cost_usd"] for estimate in answer["estimates"]]
        assert costs == sorted(costs)
        assert len(costs) == 3
        assert answer["saved_usd"] == pytest.approx(costs[-1] - costs[["haiku", "sonnet", "opus"].index(model)])


def test_auto_is_what_the_route_says(managed: Tenancy) -> None:
    secret = managed.key(managed.project())["key"]
    assert "haiku" in managed.ask(secret, "Hi!\n::text aye", model="auto").json()["model"]
    assert "opus" in managed.ask(secret, "Prove the theorem step by step.\n::text aye", model="auto").json()["model"]


def test_what_is_left_of_a_scarce_budget_is_for_haiku(managed: Tenancy) -> None:
    _, secret = managed.secret(total_tokens=1_000)
    assert managed.ask(secret, '::usage {"input_tokens": 900, "output_tokens": 20}\n::text aye').status_code == 200
    route = managed.admin("POST", "route", {"task_description": "Debug this race condition."}, key=secret).json()
    assert (route["rule"], "haiku" in route["recommended_model"]) == ("scarce_budget", True)


def test_a_project_that_may_use_no_model_of_the_three_cannot_have_auto(managed: Tenancy) -> None:
    secret = managed.key(managed.project(allowed_models=["claude-other"]))["key"]
    assert managed.ask(secret, "::text aye", model="auto").status_code == 403


@pytest.mark.parametrize("body", [{}, {"task_description": ""}, {"task_description": "x", "context_size": -1}])
def test_a_route_needs_a_task(managed: Tenancy, body: dict[str, Any]) -> None:
    answer = managed.admin("POST", "route", body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_the_access_log_names_key_project_and_cost(managed: Tenancy) -> None:
    project_id = managed.project()
    made = managed.key(project_id)
    answer: httpx.Response = managed.ask(made["key"], USED)

    def records() -> list[dict[str, Any]]:
        lines = [line for line in managed.served.log().splitlines() if answer.headers["request-id"] in line]
        return [record for record in map(json.loads, lines) if record["logger"] == "pinnace.access"]

    # It is written once the answer is out.
    managed.served.wait_until(lambda: bool(records()))
    (record,) = records()
    assert (record["project"], record["key"], record["cost_microusd"]) == (project_id, made["id"], 400)
