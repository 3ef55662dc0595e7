"""Knows that message batches are those of the API for the official client, for one project, and that they outlive a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from served import BOUND, MODEL
from tenants import Tenancy, tenancy

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]', "PINNACE_BATCHES__RETRY_SECONDS": "0.1"}
    with tenancy(tmp_path_factory.mktemp("batches"), upstream, **variables) as started:
        yield started


def client_of(managed: Tenancy, secret: str, prefix: str = "/api") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=managed.served.url + prefix, api_key=secret, max_retries=0, timeout=BOUND)


@pytest.fixture
def client(managed: Tenancy) -> anthropic.Anthropic:
    return client_of(managed, managed.secret()[1])


def item(name: str, script: str, **fields: Any) -> Any:
    params = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": script}]} | fields
    return {"custom_id": name, "params": params}


def ended(client: anthropic.Anthropic, batch_id: str, seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while (batch := client.messages.batches.retrieve(batch_id)).processing_status != "ended":
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
    return batch


def verdicts(client: anthropic.Anthropic, batch_id: str) -> dict[str, str]:
    return {one.custom_id: one.result.type for one in client.messages.batches.results(batch_id)}


def test_every_request_has_its_own_result(client: anthropic.Anthropic) -> None:
    bad: Any = {"custom_id": "bad", "params": {"model": MODEL}}
    asked = [item("one", "::text ahoy"), bad, item("two", "::error 400"), item("three", "::text aye")]
    made = client.messages.batches.create(requests=asked)
    assert (made.processing_status, made.request_counts.processing, made.results_url) == ("in_progress", 4, None)
    batch = ended(client, made.id)
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (2, 2)
    found: dict[str, Any] = {one.custom_id: one.result for one in client.messages.batches.results(made.id)}
    assert list(found) == ["one", "bad", "two", "three"]
    assert found["one"].message.content[0].text == "ahoy"
    assert found["bad"].error.error.type == "invalid_request_error"
    assert [batch.id for batch in client.messages.batches.list()] == [made.id]
    assert client.messages.batches.delete(made.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(made.id)


def test_an_agent_runs_a_batch_too(managed: Tenancy) -> None:
    client = client_of(managed, managed.secret()[1], "/sdk")
    script = 'Look.\n::tool Bash {"command": "echo tar"}\n::turn\n::text Done.'
    made = client.messages.batches.create(requests=[item("look", script)])
    batch = ended(client, made.id)
    assert batch.results_url.startswith(f"{managed.served.url}/sdk/v1/")
    found: list[Any] = list(client.messages.batches.results(made.id))
    assert [one.result.message.content[-1].text for one in found] == ["Done."]


def test_what_passes_is_tried_again_and_counted_once(managed: Tenancy) -> None:
    project_id, secret = managed.secret(monthly_usd=5)
    client = client_of(managed, secret)
    asked = [item(f"i{number}", f"Item {number}.\n::times 1\n::error 529\n::text aye") for number in range(3)]
    made = client.messages.batches.create(requests=asked)
    ended(client, made.id)
    assert set(verdicts(client, made.id).values()) == {"succeeded"}
    spending = managed.spending(project_id)
    assert spending["reserved_usd"] == 0
    shown = client.messages.batches.retrieve(made.id).model_dump()
    assert float(shown["cost_usd"]) == float(spending["spent_usd"]) > 0


def test_cancelling_stops_what_runs_within_seconds(client: anthropic.Anthropic) -> None:
    asked = [item("quick", "::text aye"), *(item(f"slow{number}", "::text half\n::hang") for number in range(9))]
    made = client.messages.batches.create(requests=asked)
    deadline = time.monotonic() + 20
    while client.messages.batches.retrieve(made.id).model_dump()["progress"]["done"] < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.messages.batches.cancel(made.id).processing_status in ("canceling", "ended")
    batch = ended(client, made.id, seconds=15)
    assert (batch.request_counts.succeeded, batch.request_counts.canceled) == (1, 9)
    assert batch.cancel_initiated_at is not None
    assert list(verdicts(client, made.id).values()) == ["succeeded", *["canceled"] * 9]


def test_another_project_s_batch_is_like_one_that_is_not_there(managed: Tenancy, client: anthropic.Anthropic) -> None:
    made = client.messages.batches.create(requests=[item("a", "::text a")])
    ended(client, made.id)
    stranger = client_of(managed, managed.secret()[1])
    told = []
    for batch_id in (made.id, "msgbatch_none"):
        for call in (
            stranger.messages.batches.retrieve,
            stranger.messages.batches.cancel,
            stranger.messages.batches.delete,
            stranger.messages.batches.results,
        ):
            with pytest.raises(anthropic.NotFoundError) as caught:
                call(batch_id)
            told.append(str(caught.value.body["error"]["message"]).replace(batch_id, "ID"))  # type: ignore[index]  # an object here
    assert len(set(told)) == 1
    assert list(stranger.messages.batches.list()) == []


def test_lists_are_in_pages_the_newest_first(client: anthropic.Anthropic) -> None:
    made = [client.messages.batches.create(requests=[item("a", "::text a")]).id for _ in range(5)]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == made[::-1]
    page = client.messages.batches.list(limit=2, before_id=made[0])
    assert ([batch.id for batch in page.data], page.has_more) == ([made[2], made[1]], True)
    for batch_id in made:
        ended(client, batch_id)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"requests": []}, "requests: must be a list of 1 to 100,000 requests"),
        ({"requests": [item("a", "x"), item("a", "x")]}, "requests.1.custom_id: is the name of requests.0 too"),
        ({"requests": [{"custom_id": "a b", "params": {}}]}, "requests.0.custom_id"),
    ],
)
def test_a_batch_that_is_none_is_refused(managed: Tenancy, sent: Any, told: str) -> None:
    key = managed.secret()[1]
    answer = managed.admin("POST", "messages/batches", sent, key=key)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(told)


def test_the_same_key_twice_makes_one_batch(managed: Tenancy) -> None:
    key = managed.secret()[1]
    headers = {"x-api-key": key, "idempotency-key": "harbour"}
    address = f"{managed.served.url}/v1/messages/batches"
    first, second = (
        managed.served.http.post(address, json={"requests": [item("a", "::text a")]}, headers=headers).json()["id"]
        for _ in range(2)
    )
    other = managed.served.http.post(address, json={"requests": [item("b", "::text a")]}, headers=headers)
    assert first == second
    assert other.status_code == 409


def test_results_are_not_there_before_the_end(client: anthropic.Anthropic) -> None:
    made = client.messages.batches.create(requests=[item("a", "::delay 1\n::text a")])
    with pytest.raises(anthropic.AnthropicError, match="results"):
        list(client.messages.batches.results(made.id))
    with pytest.raises(anthropic.ConflictError, match="cancel it first"):
        client.messages.batches.delete(made.id)
    ended(client, made.id)


def test_a_batch_goes_on_where_another_server_left_it(upstream: Upstream, own_directory: Path) -> None:
    asked = [item(f"i{number}", f"::delay 0.3\n::text {number}") for number in range(20)]
    variables = {"PINNACE_AGENT__SPARES": "0", "PINNACE_DRAIN_SECONDS": "0"}
    with tenancy(own_directory, upstream, **variables) as first:
        key = first.secret()[1]
        batch_id = client_of(first, key).messages.batches.create(requests=asked).id
        time.sleep(1)
    with tenancy(own_directory, upstream, **variables) as second:
        client = client_of(second, key)
        batch = ended(client, batch_id)
        assert batch.request_counts.succeeded == 20
        lines = second.admin("GET", f"messages/batches/{batch_id}/results", key=key).text
    assert lines.endswith("}\n")
    assert [json.loads(line)["result"]["message"]["content"][0]["text"] for line in lines.splitlines()] == [
        str(number) for number in range(20)
    ]


def test_a_file_that_is_put_among_the_incoming_ones_becomes_a_batch(managed: Tenancy) -> None:
    project_id, key = managed.secret()
    files = managed.served.directory / "data" / "batches"
    (files / "incoming" / project_id).mkdir(parents=True)
    part = files / "incoming" / project_id / "prompts.part"
    part.write_text("\n".join(json.dumps(item(name, f"::text {name}")) for name in ("a", "b")))
    part.rename(part.with_suffix(".jsonl"))
    deadline = time.monotonic() + 40
    while not (manifests := list(files.glob(f"results/{project_id}/prompts.*.manifest.json"))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    manifest = json.loads(manifests[0].read_text())
    results = [json.loads(line) for line in (files / manifest["results"]).read_text().splitlines()]
    assert [one["result"]["message"]["content"][0]["text"] for one in results] == ["a", "b"]
    assert client_of(managed, key).messages.batches.retrieve(manifest["id"]).processing_status == "ended"


def test_results_can_be_fetched_in_parts(managed: Tenancy) -> None:
    key = managed.secret()[1]
    client = client_of(managed, key)
    made = client.messages.batches.create(requests=[item(f"i{number}", "::text aye") for number in range(5)])
    ended(client, made.id)
    address = f"{managed.served.url}/v1/messages/batches/{made.id}/results"

    def part(asked: str, **more: str) -> Any:
        return managed.served.http.get(address, headers={"x-api-key": key, "range": asked} | more)

    whole = managed.served.http.get(address, headers={"x-api-key": key})
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    first, rest = part("bytes=0-99"), part("bytes=100-")
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == whole.content
    assert part(f"bytes={len(whole.content)}-").status_code == 416
    assert part("bytes=0-9", **{"if-range": '"another"'}).content == whole.content
