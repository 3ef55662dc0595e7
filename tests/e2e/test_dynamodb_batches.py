"""Knows that servers with a table, a bucket and a queue in common run one batch together; moto stands for AWS."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto_server import moto_server
from served import MODEL
from tenants import Tenancy, tenancy

from pinnace.core.adapters.dynamodb.table import client_of, create_table
from pinnace.core.adapters.s3.bucket import client_of as s3_client_of
from pinnace.core.adapters.sqs.queue import client_of as sqs_client_of
from pinnace.core.usecases.batch_work import LEASE
from pinnace.testing.upstream import Upstream

REGION, TABLE, BUCKET, QUEUE, DEAD = "eu-central-1", "pinnace", "pinnace-files", "pinnace-batches", "pinnace-dead"
ID, SECRET = "AKIAEXAMPLEOFPINNACE", "a secret of the cloud"

#: Seconds. moto copies the table at each transaction, and answers one request at a time.
PATIENCE = 200.0

pytestmark = [pytest.mark.stores, pytest.mark.timeout(PATIENCE + 100)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        create_table(client_of(REGION, url, ID, SECRET), TABLE)
        s3_client_of("us-east-1", url, ID, SECRET).create_bucket(Bucket=BUCKET)
        for name in (QUEUE, DEAD):
            sqs_client_of(REGION, url, ID, SECRET).create_queue(QueueName=name)
        yield url


@pytest.fixture(scope="module")
def cloud(endpoint: str) -> dict[str, str]:
    return {
        "PINNACE_STORE": "dynamodb",
        "PINNACE_AWS__TABLE": TABLE,
        "PINNACE_AWS__BUCKET": BUCKET,
        "PINNACE_AWS__QUEUE": QUEUE,
        "PINNACE_AWS__DEAD_LETTER_QUEUE": DEAD,
        "PINNACE_AWS__REGION": REGION,
        "PINNACE_AWS__ENDPOINT_URL": endpoint,
        "PINNACE_DEFAULT_PROFILE": "messages",
        "PINNACE_AGENT__SPARES": "0",
        "PINNACE_BATCHES__CONCURRENCY": "3",
        "AWS_ACCESS_KEY_ID": ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


@pytest.fixture(scope="module")
def pair(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory, cloud: dict[str, str]
) -> Iterator[tuple[Tenancy, Tenancy]]:
    with (
        tenancy(tmp_path_factory.mktemp("first"), upstream, **cloud) as first,
        tenancy(tmp_path_factory.mktemp("second"), upstream, **cloud) as second,
    ):
        yield first, second


def create(server: Tenancy, key: str, scripts: dict[str, str]) -> str:
    requests = [
        {
            "custom_id": name,
            "params": {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": text}]},
        }
        for name, text in scripts.items()
    ]
    answer = server.admin("POST", "messages/batches", {"requests": requests}, key=key)
    assert answer.status_code == 200, answer.text
    batch_id: str = answer.json()["id"]
    return batch_id


def shown(server: Tenancy, key: str, batch_id: str) -> dict[str, Any]:
    batch: dict[str, Any] = server.admin("GET", f"messages/batches/{batch_id}", key=key).json()
    return batch


def until(holds: Callable[[], Any], seconds: float = PATIENCE, told: Callable[[], Any] = lambda: None) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, told()
        time.sleep(0.2)


def ended(server: Tenancy, key: str, batch_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
    def batch() -> dict[str, Any]:
        return shown(server, key, batch_id)

    until(lambda: batch()["processing_status"] == "ended", seconds, told=batch)
    return batch()


def results(server: Tenancy, key: str, batch_id: str) -> dict[str, Any]:
    lines = server.admin("GET", f"messages/batches/{batch_id}/results", key=key).text.splitlines()
    found = [json.loads(line) for line in lines]
    assert len({one["custom_id"] for one in found}) == len(found)
    return {one["custom_id"]: one["result"] for one in found}


def words(result: dict[str, Any]) -> str:
    said: str = result["message"]["content"][0]["text"]
    return said


def items(endpoint: str) -> list[Any]:
    """All that lies in the table."""
    pages = client_of(REGION, endpoint, ID, SECRET).get_paginator("scan").paginate(TableName=TABLE)
    return [item for page in pages for item in page["Items"]]


def test_two_servers_run_each_request_of_a_batch_once(
    pair: tuple[Tenancy, Tenancy], upstream: Upstream, endpoint: str
) -> None:
    first, second = pair
    key = first.secret()[1]
    upstream.forget()
    batch_id = create(first, key, {f"item-{n}": f"Request {n}.\n::delay 0.2\n::text answer {n}" for n in range(60)})
    batch = ended(second, key, batch_id)
    assert batch["request_counts"]["succeeded"] == 60
    assert {name: words(result) for name, result in results(second, key, batch_id).items()} == {
        f"item-{n}": f"answer {n}" for n in range(60)
    }
    asked = Counter(
        json.dumps(body["messages"]).partition(".")[0].rpartition("Request ")[2] for body in upstream.bodies
    )
    assert asked == Counter(str(n) for n in range(60))
    assert all(server.served.stats()["served"] for server in pair)
    assert first.admin("DELETE", f"messages/batches/{batch_id}", key=key).status_code == 200
    assert second.admin("GET", f"messages/batches/{batch_id}", key=key).status_code == 404
    # Usage stays, and each call's name says of which batch it was.
    kept = {item["pk"]["S"].partition("#")[0] for item in items(endpoint) if batch_id in repr(item)}
    assert kept <= {"records", "request"}
    listed = s3_client_of(REGION, endpoint, ID, SECRET).list_objects_v2(Bucket=BUCKET)
    assert not [found for found in listed.get("Contents", ()) if found.get("Key", "").startswith("batches/")]


def test_a_batch_that_is_cancelled_at_one_server_stops_at_the_other(
    pair: tuple[Tenancy, Tenancy], upstream: Upstream
) -> None:
    first, second = pair
    key = first.secret()[1]
    upstream.forget()
    batch_id = create(first, key, {f"slow-{n}": f"{n}\n::text half\n::hang" for n in range(10)})
    # As many as the two run at once.
    until(lambda: len(upstream.bodies) == 6)
    assert second.admin("POST", f"messages/batches/{batch_id}/cancel", key=key).status_code == 200
    batch = ended(first, key, batch_id)
    assert batch["request_counts"]["canceled"] == 10
    assert [result["type"] for result in results(first, key, batch_id).values()] == ["canceled"] * 10
    assert len(upstream.bodies) == 6


def test_a_result_that_no_item_of_the_table_holds_is_kept(pair: tuple[Tenancy, Tenancy]) -> None:
    key = pair[0].secret()[1]
    # Words that nothing makes small.
    long = " ".join(f"{number * 7919 % 1_000_003:x}" for number in range(40_000))
    batch_id = create(pair[0], key, {"long": f"::text {long}", "short": "::text aye"})
    ended(pair[1], key, batch_id)
    assert {name: words(result) for name, result in results(pair[1], key, batch_id).items()} == {
        "long": long,
        "short": "aye",
    }


@pytest.mark.timeout(LEASE + PATIENCE + 100)
def test_what_a_killed_server_was_at_is_run_by_another(
    upstream: Upstream, tmp_path: Path, cloud: dict[str, str], endpoint: str
) -> None:
    own = f"{QUEUE}-of-the-dead"
    sqs_client_of(REGION, endpoint, ID, SECRET).create_queue(QueueName=own)
    # As many as the batch has, so that none waits for one that hangs.
    variables = cloud | {"PINNACE_AWS__QUEUE": own, "PINNACE_BATCHES__CONCURRENCY": "6"}
    hanging = {f"item-{n}": f"Deed {n}.\n::times 1\n::hang\n::text answer {n}" for n in range(3)}
    quick = {f"item-{n}": f"Deed {n}.\n::text answer {n}" for n in range(3, 6)}
    upstream.forget()
    key = batch_id = ""
    with contextlib.suppress(AssertionError), tenancy(tmp_path / "doomed", upstream, **variables) as doomed:
        key = doomed.secret()[1]
        batch_id = create(doomed, key, quick | hanging)
        until(lambda: shown(doomed, key, batch_id)["progress"]["done"] == 3 and len(upstream.bodies) == 6)
        doomed.served.child.kill()
        doomed.served.child.wait()
    assert len(upstream.bodies) == 6
    with tenancy(tmp_path / "heir", upstream, **variables) as heir:
        batch = ended(heir, key, batch_id, seconds=LEASE + PATIENCE)
        assert batch["request_counts"]["succeeded"] == 6
        said = {name: words(result) for name, result in results(heir, key, batch_id).items()}
    assert said == {f"item-{n}": f"answer {n}" for n in range(6)}
    assert len(upstream.bodies) == 9


def test_without_a_queue_a_server_starts_and_a_batch_is_refused_with_the_setting_s_name(
    upstream: Upstream, tmp_path: Path, cloud: dict[str, str], endpoint: str
) -> None:
    variables = {name: value for name, value in cloud.items() if name != "PINNACE_AWS__QUEUE"}
    with tenancy(tmp_path, upstream, **variables) as server:
        key = server.secret()[1]
        assert server.ask(key, "::text aye").status_code == 200
        body = {"requests": [{"custom_id": "a", "params": {}}]}
        answer = server.admin("POST", "messages/batches", body, key=key)
        assert answer.status_code == 501
        assert "aws.queue" in answer.json()["error"]["message"]
        assert server.admin("GET", "messages/batches", key=key).json()["data"] == []
    assert not [item for item in items(endpoint) if item.get("is_ready") == {"N": "0"}]
