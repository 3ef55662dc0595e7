"""Knows that servers with a bucket in common have the same files, and that large ones go straight there; moto stands for AWS."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto_server import moto_server
from tenants import Tenancy, tenancy

from pinnace.core.adapters.dynamodb.table import client_of, create_table
from pinnace.core.adapters.s3.bucket import client_of as s3_client_of
from pinnace.testing.upstream import Upstream

REGION, TABLE, BUCKET = "eu-central-1", "pinnace", "pinnace-files"
ID, SECRET = "AKIAEXAMPLEOFPINNACE", "a secret of the cloud"
LARGE = os.urandom(6_000_000)

pytestmark = pytest.mark.stores


@dataclass(frozen=True)
class Fleet:
    first: Tenancy
    second: Tenancy
    endpoint: str

    def objects(self) -> list[str]:
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
            "PINNACE_FILES__MAX_REQUEST_MB": "5",
            "PINNACE_FILES__QUOTA_MB": "10",
            "PINNACE_AGENT__SPARES": "0",
        }
        servers = [
            running.enter_context(tenancy(tmp_path_factory.mktemp(name), upstream, **variables))
            for name in ("first", "second")
        ]
        yield Fleet(servers[0], servers[1], endpoint)


@pytest.fixture
def key(fleet: Fleet) -> str:
    secret: str = fleet.first.key(fleet.first.project())["key"]
    return secret


def ask(server: Tenancy, key: str, method: str, path: str = "", **more: Any) -> httpx.Response:
    return server.served.http.request(method, f"{server.served.url}/v1/files{path}", headers={"x-api-key": key}, **more)


def test_a_small_file_goes_through_one_server_and_comes_from_the_other(fleet: Fleet, key: str) -> None:
    made = ask(fleet.first, key, "POST", files={"file": ("a.txt", b"seven barrels")}).json()
    assert ask(fleet.second, key, "GET").json()["data"] == [made]
    assert ask(fleet.second, key, "GET", f"/{made['id']}/content").text == "seven barrels"
    assert ask(fleet.second, key, "DELETE", f"/{made['id']}").status_code == 200
    assert ask(fleet.first, key, "GET", f"/{made['id']}").status_code == 404
    assert fleet.objects() == []


def test_a_large_file_goes_straight_to_the_bucket(fleet: Fleet, key: str) -> None:
    refused = ask(fleet.first, key, "POST", files={"file": LARGE})
    assert (refused.status_code, "POST /v1/files/uploads" in refused.text) == (413, True)
    asked = {"filename": "dir/pilot.pdf", "size_bytes": len(LARGE), "expires_in_seconds": 7200}
    offered = ask(fleet.first, key, "POST", "/uploads", json=asked).json()
    assert offered["type"] == "file_upload"
    complete = f"/uploads/{offered['id']}/complete"
    early = ask(fleet.second, key, "POST", complete)
    assert (early.status_code, "Nothing was uploaded yet" in early.text) == (400, True)
    form, data = offered["upload"], b"%PDF-1.7\n" + LARGE[9:]
    assert httpx.request(form["method"], form["url"], data=form["fields"], files={"file": data}).is_success
    assert ask(fleet.first, key, "GET").json()["data"] == []
    assert ask(fleet.first, fleet.first.key(fleet.first.project())["key"], "POST", complete).status_code == 404
    made = ask(fleet.second, key, "POST", complete).json()
    assert (made["filename"], made["mime_type"], made["size_bytes"]) == ("pilot.pdf", "application/pdf", len(LARGE))
    assert ask(fleet.first, key, "POST", complete).json() == made
    # The form is still good, and reaches nothing of the file.
    assert httpx.request(form["method"], form["url"], data=form["fields"], files={"file": LARGE}).is_success
    assert ask(fleet.first, key, "GET", f"/{made['id']}/content").content == data
    over = ask(fleet.first, key, "POST", "/uploads", json=asked)
    assert (over.status_code, "left" in over.text) == (403, True)
    assert ask(fleet.first, key, "DELETE", f"/{made['id']}").status_code == 200
    assert fleet.objects() == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"filename": "a", "size_bytes": -1}, "size_bytes"),
        ({"filename": "a|b", "size_bytes": 1}, "filename"),
        ({"filename": "a"}, "size_bytes"),
        ({"filename": "a", "size_bytes": 1, "expires_in_seconds": 5}, "expires_in_seconds"),
    ],
)
def test_a_form_that_cannot_be_given_says_why(fleet: Fleet, key: str, asked: dict[str, Any], words: str) -> None:
    refused = ask(fleet.first, key, "POST", "/uploads", json=asked)
    assert (refused.status_code, words in refused.json()["error"]["message"]) == (400, True)


def test_the_command_finds_the_way_that_a_file_fits(fleet: Fleet, key: str, tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "PINNACE_URL": fleet.first.served.url,
        "PINNACE_API_KEY": key,
    }

    def files(*words: str) -> str:
        command = [sys.executable, "-m", "pinnace.client", "files", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    for name, data in (("large.bin", LARGE), ("small.bin", b"small")):
        (tmp_path / name).write_bytes(data)
        file_id = files("upload", name)
        assert name in files("show", file_id)
        files("download", file_id, "--output", "got")
        assert (tmp_path / "got").read_bytes() == data
        assert files("delete", file_id) == file_id
    assert files("list") == ""
    assert fleet.objects() == []
