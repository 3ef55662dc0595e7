"""Knows that a passing failure of the model's API is not the caller's, and that one that lasts is not made worse."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from served import MODEL, Served, serving
from tenants import tenancy

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def patient(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose retries are the default's."""
    directory = tmp_path_factory.mktemp("patient")
    with serving(directory, upstream, PINNACE_UPSTREAM__RETRIES="2", PINNACE_CLI__RETRIES="0") as served:
        yield served


@pytest.fixture
def retrying(patient: Served) -> Served:
    patient.upstream.forget()
    return patient


def circuit(served: Served) -> str:
    state: str = served.http.get(f"{served.url}/v1/pool/stats").json()["circuit"]
    return state


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", ["::error 529", "::error 500", "::error 408", "::cut", "::error 429"])
def test_a_failure_before_the_first_byte_is_tried_again(retrying: Served, failure: str, stream: bool) -> None:
    answer = retrying.ask(f"::times 1\n{failure}\n::text at last {stream}", stream=stream)
    assert answer.status_code == 200
    assert "last" in answer.text
    assert "error" not in answer.text
    assert len(retrying.upstream.bodies) == 2


def test_a_failure_that_lasts_is_told_as_it_is(retrying: Served) -> None:
    answer = retrying.ask("::error 503 api_error Down for maintenance")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "Down for maintenance")
    assert len(retrying.upstream.bodies) == 3


@pytest.mark.parametrize(
    "script",
    [
        "::error 400",
        "::error 401",
        "::error 413",
        # Longer than this side waits.
        "::header retry-after 6\n::error 429",
        "::text half\n::error 529",
        "::text half\n::cut",
    ],
)
def test_what_another_try_would_not_mend_is_tried_once(retrying: Served, script: str) -> None:
    retrying.ask(script, stream=True)
    assert len(retrying.upstream.bodies) == 1


def test_the_upstream_s_own_wait_is_kept(retrying: Served) -> None:
    began = time.monotonic()
    answer = retrying.ask("::times 1\n::header retry-after 2\n::times 1\n::error 429\n::text aye")
    assert answer.status_code == 200
    assert time.monotonic() - began >= 2


def test_a_caller_that_leaves_between_two_tries_stops_them(retrying: Served) -> None:
    body = {
        "model": MODEL,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "::header retry-after 3\n::error 529"}],
    }
    with pytest.raises(Exception, match="timed out"):
        retrying.http.post(f"{retrying.url}/api/v1/messages", json=body, timeout=1)
    retrying.wait_until(lambda: retrying.stats()["busy"] == 0)
    assert retrying.ask("::text aye").status_code == 200
    assert len(retrying.upstream.bodies) == 2


def test_a_call_that_was_tried_again_is_paid_once(upstream: Upstream, own_directory: Path) -> None:
    with tenancy(own_directory, upstream, PINNACE_UPSTREAM__RETRIES="2", PINNACE_AGENT__SPARES="0") as managed:
        project_id, secret = managed.secret(monthly_usd="1")
        managed.ask(secret, '::usage {"input_tokens": 1000, "output_tokens": 100}\n::text aye')
        once = managed.spending(project_id)["spent_usd"]
        script = '::times 2\n::error 529\n::usage {"input_tokens": 1000, "output_tokens": 100}\n::text aye'
        assert managed.ask(secret, script).status_code == 200
        spending = managed.spending(project_id)
        assert (spending["spent_usd"], spending["reserved_usd"]) == (2 * once, Decimal(0))
        assert once > 0


def test_an_api_that_keeps_failing_is_left_alone_for_a_while(upstream: Upstream, own_directory: Path) -> None:
    variables = {
        "PINNACE_UPSTREAM__FAILURES": "5",
        "PINNACE_UPSTREAM__PAUSE_SECONDS": "2",
        "PINNACE_AGENT__SPARES": "0",
    }
    with serving(own_directory, upstream, **variables) as served:
        upstream.forget()
        assert [served.ask("::error 500").status_code for _ in range(5)] == [500] * 5
        refused = served.ask("::text aye")
        assert (refused.status_code, refused.json()["error"]["type"]) == (529, "overloaded_error")
        assert refused.headers["retry-after"] in ("1", "2")
        assert len(upstream.bodies) == 5
        assert circuit(served) == "open"
        assert 'pinnace_circuit{state="open"} 1.0' in served.http.get(f"{served.url}/metrics").text
        served.wait_until(lambda: circuit(served) == "half_open")
        statuses: list[int] = []
        trial = threading.Thread(target=lambda: statuses.append(served.ask("::delay 1\n::text aye").status_code))
        trial.start()
        served.wait_until(lambda: len(upstream.bodies) == 6)
        assert served.ask("::text aye").status_code == 529
        trial.join()
        assert statuses == [200]
        assert circuit(served) == "closed"
        assert served.ask("::text aye").status_code == 200


def test_an_agent_counts_for_the_circuit_too(upstream: Upstream, own_directory: Path) -> None:
    variables = {"PINNACE_UPSTREAM__FAILURES": "2", "PINNACE_CLI__RETRIES": "0", "PINNACE_MESSAGES__SPARES": "0"}
    with serving(own_directory, upstream, **variables) as served:
        assert [served.ask("::error 529", "/sdk").status_code for _ in range(2)] == [529] * 2
        upstream.forget()
        assert served.ask("::text aye", "/sdk").status_code == 529
        assert upstream.bodies == []
