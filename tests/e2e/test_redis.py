"""Knows that servers that name one Redis are one where limits and kept answers are concerned, and what happens without it."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from redis_server import redis_server
from served import MODEL, free_port
from tenants import Tenancy, tenancy

from pinnace.testing.upstream import Upstream

PASSWORD = "s3cret"

pytestmark = pytest.mark.stores


@dataclass(frozen=True)
class Fleet:
    """Two servers with the same projects and keys."""

    servers: tuple[Tenancy, Tenancy]
    limited: str
    free: str


@pytest.fixture(scope="module")
def fleet(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with contextlib.ExitStack() as running:
        url = running.enter_context(redis_server("--requirepass", PASSWORD))
        variables = {"PINNACE_REDIS__URL": f"{url}?password={PASSWORD}", "PINNACE_AGENT__SPARES": "0"}
        places = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
        first = running.enter_context(tenancy(places[0], upstream, **variables))
        project_id = first.project()
        limited, free = (first.key(project_id, limits=limits)["key"] for limits in ({"requests_per_minute": 4}, {}))
        copy_store(*places)
        second = running.enter_context(tenancy(places[1], upstream, **variables))
        yield Fleet((first, second), limited, free)


def copy_store(source: Path, target: Path) -> None:
    """Give a server what another one keeps in SQLite, which counts for itself from then on."""
    (target / "data").mkdir()
    files = [place / "data" / "pinnace.sqlite3" for place in (source, target)]
    with contextlib.closing(sqlite3.connect(files[0])) as there, contextlib.closing(sqlite3.connect(files[1])) as here:
        there.backup(here)


def ask(server: Tenancy, secret: str, content: str = "::text aye", **headers: str) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
    given = {"x-api-key": secret} | {name.replace("_", "-"): value for name, value in headers.items()}
    return server.served.http.post(f"{server.served.url}/api/v1/messages", json=body, headers=given)


def test_two_servers_have_one_limit_between_them(fleet: Fleet) -> None:
    first, second = fleet.servers
    answers = [ask(server, fleet.limited) for server in (first, second, first, second, first, second)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert [answer.headers["anthropic-ratelimit-requests-remaining"] for answer in answers[:3]] == ["3", "2", "1"]


def test_two_servers_give_one_answer_again(fleet: Fleet) -> None:
    first, second = fleet.servers
    fleet.servers[0].served.upstream.forget()
    for headers in ({"x_pinnace_cache": "on"}, {"idempotency_key": "attempt"}):
        answers = [ask(server, fleet.free, **headers) for server in fleet.servers]
        assert answers[0].json() == answers[1].json()
    assert len(first.served.upstream.bodies) == 2
    assert second.admin("DELETE", "cache", key=fleet.free).json()["forgotten"] == 1
    assert ask(first, fleet.free, x_pinnace_cache="on").headers["x-pinnace-cache"] == "miss"


def test_the_address_is_not_shown(fleet: Fleet) -> None:
    for server in fleet.servers:
        assert server.admin("GET", "config").json()["redis"] == {"url": "set", "prefix": "pinnace"}
        assert PASSWORD not in server.served.log()


def test_without_redis_what_needs_it_fails_at_once_and_the_rest_is_served(upstream: Upstream, tmp_path: Path) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}"
    with tenancy(tmp_path, upstream, PINNACE_REDIS__URL=url, PINNACE_AGENT__SPARES="0") as server:
        project_id = server.project()
        limited, free = (server.key(project_id, limits=limits)["key"] for limits in ({"requests_per_minute": 4}, {}))
        assert ask(server, free).status_code == 200
        began = time.monotonic()
        for refused in (ask(server, limited), ask(server, free, x_pinnace_cache="on")):
            assert (refused.status_code, refused.json()["error"]["type"]) == (500, "api_error")
            assert "127.0.0.1" not in refused.text
        assert time.monotonic() - began < 2
        assert PASSWORD not in server.served.log()
