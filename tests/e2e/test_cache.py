"""Knows when an answer is given again: to an identical request where that is wished, and to one attempt sent twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from served import BOUND, MODEL
from tenants import Tenancy, tenancy

from pinnace.testing.upstream import Upstream

USED = '::usage {"input_tokens": 100, "output_tokens": 20}\n::text aye'


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_AGENT__SPARES="0") as started:
        yield started


def ask(managed: Tenancy, secret: str, content: str = USED, fields: Any = None, **headers: str) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": content}]} | (fields or {})
    given = {"x-api-key": secret} | {name.replace("_", "-"): value for name, value in headers.items()}
    return managed.served.http.post(f"{managed.served.url}/api/v1/messages", json=body, headers=given)


def calls(managed: Tenancy) -> int:
    return len(managed.served.upstream.bodies)


def test_an_identical_request_has_the_same_answer_for_nothing(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    managed.served.upstream.forget()
    first, second = (ask(managed, secret, x_pinnace_cache="on") for _ in range(2))
    assert [answer.headers["x-pinnace-cache"] for answer in (first, second)] == ["miss", "hit"]
    assert first.json() == second.json()
    assert calls(managed) == 1
    assert managed.spending(project_id)["spent_usd"] == Decimal("0.0004")
    usage = managed.admin("GET", f"usage?project_id={project_id}").json()
    assert (usage["requests"], usage["total_tokens"]) == (2, 120)


def test_a_kept_answer_is_streamed_and_translated_too(managed: Tenancy) -> None:
    _, secret = managed.secret()
    whole = ask(managed, secret, "::text a b c", x_pinnace_cache="on").json()
    streamed = ask(managed, secret, "::text a b c", {"stream": True}, x_pinnace_cache="on")
    assert streamed.headers["x-pinnace-cache"] == "hit"
    assert [line for line in streamed.text.splitlines() if line.startswith("event:")] == [
        "event: message_start",
        "event: content_block_start",
        *["event: content_block_delta"] * 3,
        "event: content_block_stop",
        "event: message_delta",
        "event: message_stop",
    ]
    assert whole["id"] in streamed.text
    managed.served.upstream.forget()
    options: Any = {"base_url": f"{managed.served.url}/api/v1", "api_key": secret, "timeout": BOUND}
    with openai.OpenAI(**options, default_headers={"x-pinnace-cache": "on"}) as client:
        for _ in range(2):
            asked: Any = [{"role": "user", "content": "::text too"}]
            assert client.chat.completions.create(model=MODEL, messages=asked).choices[0].message.content == "too"
    assert calls(managed) == 1


def test_it_is_off_and_can_be_refreshed_and_forgotten(managed: Tenancy) -> None:
    _, secret = managed.secret()
    other = managed.key(managed.project())["key"]
    managed.served.upstream.forget()
    for _ in range(2):
        assert "x-pinnace-cache" not in ask(managed, secret).headers
    assert calls(managed) == 2
    hits = [
        ask(managed, key, x_pinnace_cache=wish).headers["x-pinnace-cache"]
        for key, wish in ((secret, "on"), (secret, "refresh"), (secret, "on"), (other, "on"))
    ]
    assert hits == ["miss", "miss", "hit", "miss"]
    assert managed.admin("DELETE", "cache", key=secret).json()["forgotten"] == 1
    assert ask(managed, secret, x_pinnace_cache="on").headers["x-pinnace-cache"] == "miss"
    assert ask(managed, other, x_pinnace_cache="on").headers["x-pinnace-cache"] == "hit"


def test_another_request_has_another_answer(managed: Tenancy) -> None:
    _, secret = managed.secret()
    ask(managed, secret, x_pinnace_cache="on")
    for fields in ({"max_tokens": 51}, {"temperature": 0.5}, {"system": "Be brief."}, {"model": "claude-haiku-4-5"}):
        assert ask(managed, secret, USED, fields, x_pinnace_cache="on").headers["x-pinnace-cache"] == "miss"
    assert ask(managed, secret, x_pinnace_cache="on", anthropic_beta="b").headers["x-pinnace-cache"] == "miss"


@pytest.mark.parametrize("script", ["::error 529", "::text half\n::cut"])
def test_what_failed_is_not_kept(managed: Tenancy, script: str) -> None:
    _, secret = managed.secret()
    managed.served.upstream.forget()
    for _ in range(2):
        assert ask(managed, secret, script, x_pinnace_cache="on").status_code >= 400
    assert calls(managed) == 2


def test_a_wish_that_is_none_is_refused(managed: Tenancy) -> None:
    _, secret = managed.secret()
    assert ask(managed, secret, x_pinnace_cache="maybe").status_code == 400
    assert ask(managed, secret, idempotency_key="x" * 256).status_code == 400


def test_one_attempt_is_made_once_and_its_answer_comes_again(managed: Tenancy) -> None:
    project_id, secret = managed.secret()
    managed.served.upstream.forget()
    first, second = (ask(managed, secret, idempotency_key="attempt") for _ in range(2))
    assert first.json() == second.json()
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert calls(managed) == 1
    assert managed.spending(project_id)["spent_usd"] == Decimal("0.0004")


def test_another_body_under_the_same_key_is_a_conflict(managed: Tenancy) -> None:
    _, secret = managed.secret()
    ask(managed, secret, idempotency_key="attempt")
    refused = ask(managed, secret, "::text other", idempotency_key="attempt")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict_error")
    assert ask(managed, managed.secret()[1], "::text other", idempotency_key="attempt").status_code == 200


def test_of_two_at_once_one_is_made_and_both_have_its_answer(managed: Tenancy) -> None:
    _, secret = managed.secret()
    managed.served.upstream.forget()
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(ask(managed, secret, "::delay 0.5\n::text aye", idempotency_key="twice"))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert calls(managed) == 1


def test_what_failed_or_was_left_is_made_again(managed: Tenancy) -> None:
    _, secret = managed.secret()
    failing = "::times 1\n::error 529\n::text aye"
    managed.served.upstream.forget()
    assert [ask(managed, secret, failing, idempotency_key="again").status_code for _ in range(2)] == [529, 200]
    leaving = "::times 1\n::delay 30\n::text aye"
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": leaving}]}
    headers = {"x-api-key": secret, "idempotency-key": "left"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{managed.served.url}/api/v1/messages", json=body, headers=headers, timeout=1.0)
    assert ask(managed, secret, leaving, idempotency_key="left").status_code == 200
