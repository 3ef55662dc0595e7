"""Knows that a list of prompts is answered as one, and that none of them sinks another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tenants import Tenancy, tenancy

from pinnace.testing.upstream import Upstream

USED = '::usage {"input_tokens": 100, "output_tokens": 20}\n::text aye'


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_AGENT__SPARES="0") as started:
        yield started


def post(managed: Tenancy, secret: str, **body: Any) -> httpx.Response:
    url, headers = f"{managed.served.url}/api/v1/batch", {"x-api-key": secret}
    return managed.served.http.post(url, json={"model": "sonnet"} | body, headers=headers)


def test_results_come_in_order_with_their_totals(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    requests = [USED, {"custom_id": "second", "prompt": USED}, {"messages": [{"role": "user", "content": USED}]}]
    answer = post(managed, secret, requests=requests).json()
    assert [(result["index"], result["custom_id"], result["text"]) for result in answer["results"]] == [
        (0, None, "aye"),
        (1, "second", "aye"),
        (2, None, "aye"),
    ]
    assert answer["totals"] == {
        "requests": 3,
        "succeeded": 3,
        "errored": 0,
        "input_tokens": 300,
        "output_tokens": 60,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "total_tokens": 360,
        "cost_usd": 0.0012,
    }
    assert managed.spending(project_id)["spent_usd"] == Decimal("0.0012")
    assert managed.admin("GET", f"usage?project_id={project_id}").json()["requests"] == 3


def test_one_bad_item_sinks_no_other(managed: Tenancy) -> None:
    _, secret = managed.secret()
    requests: list[Any] = [
        "::text aye",
        "::error 529",
        {"prompt": ""},
        {"prompt": "x", "stream": True},
        {},
        "::text too",
    ]
    results = post(managed, secret, requests=requests).json()["results"]
    assert [result["status"] for result in results] == ["succeeded", *["errored"] * 4, "succeeded"]
    assert [result["error"]["type"] for result in results if result["status"] == "errored"] == [
        "overloaded_error",
        *["invalid_request_error"] * 3,
    ]
    assert results[3]["error"]["message"].startswith("stream: ")


def test_what_the_budget_does_not_hold_is_refused_alone(managed: Tenancy) -> None:
    project_id, secret = managed.secret(total_tokens=300)
    totals = post(managed, secret, requests=[USED] * 6, max_tokens=20, parallel=False).json()["totals"]
    assert (totals["succeeded"], totals["errored"]) == (2, 4)
    assert managed.spending(project_id)["spent_tokens"] == 240


@pytest.mark.parametrize(("parallel", "together"), [(True, True), (4, True), (False, False), (1, False)])
def test_requests_run_at_once_or_in_order(managed: Tenancy, parallel: Any, together: bool) -> None:
    _, secret = managed.secret()
    key = managed.key(managed.project(), limits={"concurrent": 1})["key"]
    totals = post(managed, key, requests=["::delay 0.2\n::text aye"] * 3, parallel=parallel).json()["totals"]
    assert (totals["errored"] > 0) is together
    assert post(managed, secret, requests=["::text aye"], parallel=parallel).json()["totals"]["succeeded"] == 1


def test_an_administrator_says_whose_calls_they_are_and_a_key_its_own(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    other, _ = managed.secret()
    assert (
        managed.admin("POST", "batch", {"requests": [USED], "project_id": other, "model": "sonnet"}).status_code == 200
    )
    assert managed.spending(other)["spent_usd"] > 0
    assert post(managed, secret, requests=[USED], project_id=project_id).status_code == 200
    assert post(managed, secret, requests=[USED], project_id=other).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"requests": []}, "requests"),
        ({"requests": ["a"] * 101}, "requests"),
        ({"requests": ["a"], "parallel": 0}, "parallel"),
    ],
)
def test_a_batch_that_is_none_is_refused(managed: Tenancy, body: dict[str, Any], field: str) -> None:
    _, secret = managed.secret()
    answer = post(managed, secret, **body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(field)


def test_a_caller_that_leaves_stops_what_still_runs(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    url, headers = f"{managed.served.url}/api/v1/batch", {"x-api-key": secret}
    body = {"requests": ["::delay 30\n::text aye"] * 4, "model": "sonnet"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=body, headers=headers, timeout=1.0)
    began = time.monotonic()
    managed.served.wait_until(lambda: managed.served.stats()["busy"] == 0)
    assert time.monotonic() - began < 10
    assert managed.spending(project_id)["reserved_usd"] == 0
