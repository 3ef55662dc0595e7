"""Knows that a key's limits hold to the call and to the second, and that a client is told how they stand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from served import MODEL
from tenants import Tenancy, ask_all, tenancy

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_AGENT__SPARES="0") as started:
        yield started


def limited(managed: Tenancy, **limits: int) -> str:
    secret: str = managed.key(managed.project(), limits=limits)["key"]
    return secret


def body(content: str = "::text aye", max_tokens: int = 50) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": content}]}


def test_no_more_requests_come_through_than_the_limit_and_the_wait_is_right(managed: Tenancy) -> None:
    secret = limited(managed, requests_per_minute=20)
    began = time.monotonic()
    statuses = asyncio.run(ask_all(managed, secret, [body() for _ in range(40)]))
    # One more flows in every three seconds.
    assert 20 <= statuses.count(200) <= 20 + (time.monotonic() - began) // 3
    while (refused := managed.ask(secret, "::text aye")).status_code == 200:
        pass
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 3
    time.sleep(wait)
    assert managed.ask(secret, "::text aye").status_code == 200


def test_a_client_is_told_how_its_limits_stand(managed: Tenancy) -> None:
    secret = limited(managed, requests_per_minute=10, input_tokens_per_minute=1_000, output_tokens_per_minute=500)
    for remaining in (9, 8):
        headers = managed.ask(secret, "::text aye").headers
        assert headers["anthropic-ratelimit-requests-limit"] == "10"
        assert headers["anthropic-ratelimit-requests-remaining"] == str(remaining)
        assert headers["anthropic-ratelimit-input-tokens-limit"] == "1000"
        assert 380 <= int(headers["anthropic-ratelimit-output-tokens-remaining"]) <= 400
        reset = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
        seconds = (reset - datetime.now(UTC)).total_seconds()
        assert 6 * (10 - remaining) - 3 <= seconds <= 6 * (10 - remaining)


def test_a_refused_client_is_told_too(managed: Tenancy) -> None:
    secret = limited(managed, requests_per_minute=1)
    assert managed.ask(secret, "::text aye").status_code == 200
    refused = managed.ask(secret, "::text aye")
    assert refused.status_code == 429
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert 55 <= int(refused.headers["retry-after"]) <= 60


def test_tokens_that_were_not_used_are_given_back(managed: Tenancy) -> None:
    secret = limited(managed, tokens_per_minute=400)
    usage = '::usage {"input_tokens": 10, "output_tokens": 10}\n::text aye'
    assert [managed.ask(secret, usage, max_tokens=200).status_code for _ in range(5)] == [200] * 5
    assert managed.ask(secret, '::usage {"input_tokens": 10, "output_tokens": 390}\n::text aye').status_code == 200
    assert managed.ask(secret, usage).status_code == 429


def test_eight_calls_at_once_cannot_take_more_tokens_than_the_limit(managed: Tenancy) -> None:
    secret = limited(managed, tokens_per_minute=300)
    usage = '::usage {"input_tokens": 20, "output_tokens": 100}\n::text aye'
    statuses = asyncio.run(ask_all(managed, secret, [body(usage, 100) for _ in range(8)]))
    assert 1 <= statuses.count(200) <= 2
    assert statuses.count(429) == 8 - statuses.count(200)


def test_no_more_calls_run_at_once_than_the_key_may(managed: Tenancy) -> None:
    secret = limited(managed, concurrent=2)
    statuses = asyncio.run(ask_all(managed, secret, [body("::delay 1\n::text aye") for _ in range(6)]))
    assert (statuses.count(200), statuses.count(429)) == (2, 4)
    assert managed.ask(secret, "::text aye").status_code == 200


def test_a_caller_that_leaves_frees_its_place(managed: Tenancy) -> None:
    secret = limited(managed, concurrent=1)
    statuses = asyncio.run(ask_all(managed, secret, [body("::delay 20\n::text aye")], cut=1.0))
    assert statuses == [None]
    managed.served.wait_until(lambda: managed.ask(secret, "::text aye").status_code == 200)


def test_keys_do_not_share_their_limits(managed: Tenancy) -> None:
    project_id = managed.project()
    first, second = (managed.key(project_id, limits={"requests_per_minute": 1})["key"] for _ in range(2))
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda key=key: answers.append(managed.ask(key, "::text aye").status_code))
        for key in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
