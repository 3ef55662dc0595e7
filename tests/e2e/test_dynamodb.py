"""Knows that servers with a table and a bucket in common, and nothing else, are one; moto stands for AWS."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto_server import moto_server
from served import MODEL
from tenants import Tenancy, tenancy

from pinnace.core.adapters.dynamodb.table import client_of, create_table
from pinnace.core.adapters.s3.bucket import client_of as s3_client_of
from pinnace.testing.upstream import Upstream

REGION, TABLE, BUCKET = "eu-central-1", "pinnace", "pinnace-files"
ID, SECRET = "AKIAEXAMPLEOFPINNACE", "a secret of the cloud"
USED = f"::usage {json.dumps({'input_tokens': 20, 'output_tokens': 80})}\n::text aye"

pytestmark = pytest.mark.stores


@dataclass(frozen=True)
class Fleet:
    """Two servers, and the AWS that they share."""

    first: Tenancy
    second: Tenancy
    endpoint: str

    def items(self) -> list[str]:
        """All that lies in the table, as text."""
        pages = client_of(REGION, self.endpoint, ID, SECRET).get_paginator("scan").paginate(TableName=TABLE)
        return [repr(item) for page in pages for item in page["Items"]]

    def files(self) -> list[str]:
        listed = s3_client_of(REGION, self.endpoint, ID, SECRET).list_objects_v2(Bucket=BUCKET)
        return [found.get("Key", "") for found in listed.get("Contents", ())]


@pytest.fixture(scope="module")
def fleet(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with contextlib.ExitStack() as running:
        endpoint = running.enter_context(moto_server())
        create_table(client_of(REGION, endpoint, ID, SECRET), TABLE)
        s3_client_of("us-east-1", endpoint, ID, SECRET).create_bucket(Bucket=BUCKET)
        variables = {
            "PINNACE_STORE": "dynamodb",
            "PINNACE_AWS__TABLE": TABLE,
            "PINNACE_AWS__BUCKET": BUCKET,
            "PINNACE_AWS__REGION": REGION,
            "PINNACE_AWS__ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]',
            "PINNACE_AGENT__SPARES": "0",
        }
        servers = [
            running.enter_context(tenancy(tmp_path_factory.mktemp(name), upstream, **variables))
            for name in ("first", "second")
        ]
        yield Fleet(servers[0], servers[1], endpoint)


def say(server: Tenancy, secret: str, session: str, content: str) -> str:
    """One turn of an agent's session; gives what reached the model with its last call."""
    body = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": content}]}
    headers = {"x-api-key": secret, "x-session-id": session}
    answer = server.served.http.post(f"{server.served.url}/sdk/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return json.dumps(server.served.upstream.bodies[-1]["messages"])


def test_a_project_and_a_key_of_one_are_those_of_the_other_until_they_are_revoked(fleet: Fleet) -> None:
    project_id = fleet.first.project(name="Harbour")
    made = fleet.first.key(project_id, limits={"requests_per_minute": 3})
    assert fleet.second.admin("GET", f"projects/{project_id}").json()["name"] == "Harbour"
    statuses = [
        server.ask(made["key"], "::text aye").status_code for server in (fleet.first, fleet.second, fleet.first)
    ]
    assert statuses == [200, 200, 200]
    assert fleet.second.ask(made["key"], "::text aye").status_code == 429
    assert fleet.second.admin("DELETE", f"keys/{made['id']}").status_code == 200
    assert fleet.first.ask(made["key"], "::text aye").status_code == 401


def test_a_budget_is_shared_and_not_overspent_by_calls_at_once(fleet: Fleet) -> None:
    project_id, secret = fleet.first.secret(monthly_tokens=350)
    statuses: list[int] = []

    def call(server: Tenancy) -> None:
        statuses.append(server.ask(secret, USED).status_code)

    threads = [threading.Thread(target=call, args=(server,)) for server in (fleet.first, fleet.second) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [server.spending(project_id) for server in (fleet.first, fleet.second)]
    assert held[0] == held[1]
    assert held[0]["spent_tokens"] == 100 * statuses.count(200)
    assert 0 < held[0]["spent_tokens"] <= 350
    assert held[0]["reserved_tokens"] == 0
    assert set(statuses) == {200, 402}


def test_a_session_goes_on_at_the_other_server_with_its_words_and_files_and_leaves_nothing(fleet: Fleet) -> None:
    secret = fleet.first.key(fleet.first.project())["key"]
    word = f"barnacle{os.urandom(4).hex()}"
    command = f"echo {word} > note.txt; head -c 3000000 /dev/urandom > blob"
    say(
        fleet.first,
        secret,
        "voyage",
        f'the word is {word}\n::tool Bash {{"command": "{command}"}}\n::turn\n::text noted',
    )
    assert any(name.startswith("sessions/") for name in fleet.files())
    reading = '::tool Bash {"command": "cat note.txt; wc -c < blob"}\n::turn\n::text read'
    heard = say(fleet.second, secret, "voyage", reading)
    assert f"the word is {word}" in heard
    assert f"{word}\\n3000000" in heard
    shown = fleet.first.admin("GET", "sessions/voyage", key=secret).json()
    assert shown["turns"] == 2
    listed = fleet.first.admin("GET", "sessions/voyage/files", key=secret).json()["data"]
    assert [(file["path"], file["size_bytes"]) for file in listed] == [("blob", 3_000_000), ("note.txt", len(word) + 1)]
    assert fleet.first.admin("DELETE", "sessions/voyage", key=secret).status_code == 200
    assert fleet.second.admin("GET", "sessions/voyage", key=secret).status_code == 404
    assert fleet.files() == []
    assert not [item for item in fleet.items() if "voyage" in item or word in item or "transcript" in item]


def test_an_agent_is_not_given_the_credentials_of_the_cloud(fleet: Fleet) -> None:
    secret = fleet.first.key(fleet.first.project())["key"]
    heard = say(fleet.first, secret, "curious", '::tool Bash {"command": "env"}\n::turn\n::text seen')
    assert "PATH=" in heard
    assert "AWS_" not in heard
    for hidden in (ID, SECRET):
        assert hidden not in heard
        assert hidden not in fleet.first.served.log()
        assert hidden not in fleet.first.admin("GET", "config").text


def test_without_its_table_a_server_does_not_start_and_says_why(
    fleet: Fleet, upstream: Upstream, tmp_path: Path
) -> None:
    variables: dict[str, Any] = {
        "PINNACE_STORE": "dynamodb",
        "PINNACE_AWS__TABLE": "another",
        "PINNACE_AWS__BUCKET": BUCKET,
        "PINNACE_AWS__ENDPOINT_URL": fleet.endpoint,
        "PINNACE_AWS__REGION": REGION,
        "AWS_ACCESS_KEY_ID": ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    with pytest.raises(AssertionError, match="ResourceNotFoundException"), tenancy(tmp_path, upstream, **variables):
        raise httpx.TransportError("it has started")
