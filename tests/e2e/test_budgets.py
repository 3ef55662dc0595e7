"""Knows that no budget is ever overspent, by however many calls at once, and that all of what was used is counted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
from receiver import receiving
from served import MODEL
from tenants import Tenancy, ask_all, tenancy

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]', "PINNACE_POOL__MAX_WAITING": "1000"}
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_POOL__MAX_PROCESSES="6", **variables) as started:
        yield started


def used(tokens_in: int, tokens_out: int, words: str = "aye") -> str:
    counts = json.dumps({"input_tokens": tokens_in, "output_tokens": tokens_out})
    return f"::usage {counts}\n::text {words}"


def body(content: str, max_tokens: int = 100) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": content}]}


class Watch:
    """Reads a project's balance as fast as it can, and keeps the most that it ever held."""

    def __init__(self, tenancy: Tenancy, project_id: str) -> None:
        self._tenancy, self._project_id = tenancy, project_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.tokens = self.usd = Decimal(0)
        self.looks = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.is_set():
            held = self._tenancy.spending(self._project_id)
            self.usd = max(self.usd, held["spent_usd"] + held["reserved_usd"])
            self.tokens = max(self.tokens, held["spent_tokens"] + held["reserved_tokens"])
            self.looks += 1
            time.sleep(0.005)


def test_eight_calls_at_once_cannot_spend_more_than_three_hundred_tokens(managed: Tenancy) -> None:
    project_id, secret = managed.secret(monthly_tokens=300)
    with Watch(managed, project_id) as watch:
        statuses = asyncio.run(ask_all(managed, secret, [body(used(20, 100)) for _ in range(8)]))
    held = managed.spending(project_id)
    assert watch.looks > 1
    assert watch.tokens <= 300
    assert held["spent_tokens"] == 120 * statuses.count(200)
    assert held["reserved_tokens"] == 0
    assert 1 <= statuses.count(200) <= 2
    assert set(statuses) == {200, 402}


@pytest.mark.soak
def test_five_hundred_calls_of_which_a_third_leaves_spend_what_they_used_and_never_more(managed: Tenancy) -> None:
    chance = random.Random(4)  # noqa: S311 - a test's dice
    bodies = []
    for _ in range(500):
        out = chance.randint(1, 200)
        bodies.append(body("::pace 0.02\n" + used(chance.randint(1, 30), out, "a b c d e"), max_tokens=out))
    limit = Decimal("0.15")
    project_id, secret = managed.secret(monthly_usd=str(limit), total_tokens=60_000)
    with Watch(managed, project_id) as watch:
        statuses = asyncio.run(ask_all(managed, secret, bodies, cut=3.0))
        managed.served.wait_until(lambda: managed.spending(project_id)["reserved_usd"] == 0, seconds=30)
    held = managed.spending(project_id)
    usage = managed.admin("GET", f"usage?project_id={project_id}").json()
    assert set(statuses) <= {200, 402, None}
    assert statuses.count(200) > 50
    assert watch.looks > 20
    assert watch.usd <= limit
    assert watch.tokens <= 60_000
    assert held["reserved_tokens"] == 0
    assert Decimal(str(usage["total_cost"])) == held["spent_usd"]
    assert usage["total_tokens"] == held["spent_tokens"]


def test_a_key_has_a_budget_of_its_own(managed: Tenancy) -> None:
    project_id = managed.project(budget={"total_usd": 10})
    tight = managed.key(project_id, budget={"total_tokens": 280})["key"]
    assert managed.ask(tight, used(20, 60)).status_code == 200
    refused = managed.ask(tight, used(20, 60))
    assert refused.status_code == 402
    assert refused.json()["error"]["details"]["budget"] == {"of": "key", "period": "all", "unit": "tokens"}
    assert managed.ask(managed.key(project_id)["key"], used(20, 60)).status_code == 200


def test_a_refusal_says_which_budget_how_much_is_left_and_when_it_renews(managed: Tenancy) -> None:
    _, secret = managed.secret(monthly_usd="0.0001")
    refused = managed.ask(secret, "::text aye").json()["error"]
    assert refused["type"] == "billing_error"
    assert refused["details"]["left"] == "0.000100"
    assert refused["details"]["renews_at"].endswith("-01T00:00:00Z")
    managed.served.upstream.forget()
    managed.ask(secret, "::text aye")
    assert managed.served.upstream.requests == []


def test_a_budget_that_only_warns_refuses_nothing_and_tells_the_log(managed: Tenancy) -> None:
    project_id, secret = managed.secret(monthly_usd="0.0001", mode="warn")
    assert [managed.ask(secret, used(20, 60)).status_code for _ in range(2)] == [200, 200]
    assert managed.spending(project_id)["spent_usd"] > Decimal("0.0001")
    told = [json.loads(line) for line in managed.served.log().splitlines() if "reached a threshold" in line]
    assert [line["share"] for line in told if line["owner"] == f"project:{project_id}"] == [1.0]


def test_a_threshold_reaches_the_log_the_metrics_and_the_webhook(upstream: Upstream, tmp_path: Path) -> None:
    secret = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    with receiving(500, 204) as receiver:
        told = {"PINNACE_ALERTS__WEBHOOK_URL": receiver.url, "PINNACE_ALERTS__WEBHOOK_SECRET": secret}
        with tenancy(tmp_path / "alerting", upstream, PINNACE_AGENT__SPARES="0", **told) as managed:
            _, key = managed.secret(monthly_tokens=100, mode="warn")
            assert managed.ask(key, used(20, 70)).status_code == 200
            metrics = managed.admin("GET", "../metrics").text
            assert 'pinnace_budget_alerts_total{of="project",share="0.8",unit="tokens"} 1.0' in metrics
            shown = managed.admin("GET", "config").json()["alerts"]
            assert shown == {"webhook_url": "set", "webhook_secret": "set"}
            managed.served.wait_until(lambda: len(receiver.came) == 2)
    event = standardwebhooks.Webhook(secret).verify(receiver.came[1][1], receiver.came[1][0])
    assert (event["data"]["spent"], event["data"]["share"]) == (90, 0.8)


def test_a_model_without_a_price_is_not_for_a_budget_in_dollars(managed: Tenancy) -> None:
    _, in_dollars = managed.secret(monthly_usd=5)
    refused = managed.ask(in_dollars, "::text aye", model="claude-unheard-of")
    assert (refused.status_code, refused.json()["error"]["type"]) == (402, "billing_error")
    _, in_tokens = managed.secret(monthly_tokens=5_000)
    assert managed.ask(in_tokens, "::text aye", model="claude-unheard-of").status_code == 200


@pytest.mark.parametrize("failing", ["::error 529", "::text half\n::cut", "::stop max_tokens"])
def test_a_call_that_fails_holds_nothing_afterwards(managed: Tenancy, failing: str) -> None:
    project_id, secret = managed.secret(monthly_usd=5)
    managed.ask(secret, failing)
    assert managed.spending(project_id)["reserved_usd"] == 0


def test_cached_tokens_have_their_own_prices(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 1_000,
        "cache_read_input_tokens": 10_000,
        "cache_creation_input_tokens": 3_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
    }
    managed.ask(secret, f"::usage {json.dumps(usage)}\n::text aye")
    # $2 in, $10 out, $0.10 read, $2.50 written for 5 minutes, $4 for an hour; each for a million tokens.
    expected = Decimal("0.002") + Decimal("0.010") + Decimal("0.001") + Decimal("0.0025") + Decimal("0.008")
    assert managed.spending(project_id)["spent_usd"] == expected


LOOP = "\n::turn\n".join(f'::tool Bash {{"command": "echo {number}"}}' for number in range(8))


def test_an_agent_that_loops_is_stopped_by_the_budget(managed: Tenancy) -> None:
    limit = Decimal("0.60")
    project_id, secret = managed.secret(monthly_usd=str(limit))
    counts = '::usage {"input_tokens": 60000, "output_tokens": 50}\n'
    script = "\n::turn\n".join(counts + step for step in LOOP.split("\n::turn\n"))
    managed.served.upstream.forget()
    with Watch(managed, project_id) as watch:
        answer = managed.ask(secret, "Go on.\n" + script, "/sdk")
    assert (answer.status_code, answer.json()["error"]["type"]) == (402, "billing_error")
    assert watch.usd <= limit
    held = managed.spending(project_id)
    calls = len(managed.served.upstream.bodies)
    assert 1 < calls < 8
    assert held["spent_usd"] == calls * Decimal("0.1205")
    assert held["reserved_usd"] == 0
    usage = managed.admin("GET", f"usage?project_id={project_id}").json()
    assert (Decimal(str(usage["total_cost"])), usage["requests"]) == (held["spent_usd"], 1)


def test_what_an_agent_used_is_what_its_answer_says(managed: Tenancy) -> None:
    project_id, secret = managed.secret(monthly_usd=50)
    script = 'Look.\n::tool Bash {"command": "echo 1"}\n::turn\n::text Done.'
    answer = managed.ask(secret, script, "/sdk").json()
    assert Decimal(str(answer["usage"]["cost_usd"])) == managed.spending(project_id)["spent_usd"]


@pytest.mark.soak
def test_calls_that_a_killed_server_never_settled_count_in_full(upstream: Upstream, own_directory: Path) -> None:
    variables = {"PINNACE_REQUEST_TIMEOUT": "3", "PINNACE_AGENT__SPARES": "0"}
    project_id, reserved = "", Decimal(0)
    # Leaving this one finds a server that did not end by itself.
    with pytest.raises(AssertionError), tenancy(own_directory, upstream, **variables) as first:
        project_id, reserved = _calls_of_a_killed_server(first)
    assert reserved > 0
    with tenancy(own_directory, upstream, **variables) as second:
        held = second.spending(project_id)
        assert held["spent_usd"] + held["reserved_usd"] >= reserved
        second.served.wait_until(lambda: second.spending(project_id)["reserved_usd"] == 0, seconds=40)
        assert second.spending(project_id)["spent_usd"] >= reserved
        assert second.spending(project_id)["spent_usd"] <= Decimal("0.01")


def _calls_of_a_killed_server(first: Tenancy) -> tuple[str, Decimal]:
    project_id, secret = first.secret(monthly_usd="0.01")
    threads = [threading.Thread(target=_quietly, args=(first, secret)) for _ in range(3)]
    for thread in threads:
        thread.start()
    first.served.wait_until(lambda: first.spending(project_id)["reserved_usd"] > 0)
    reserved = first.spending(project_id)["reserved_usd"]
    first.served.child.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    return project_id, reserved


def _quietly(tenancy: Tenancy, secret: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        tenancy.ask(secret, "::text aye\n::hang")
