"""Knows what administrators and keys may do, and that one project never sees another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from served import Served, serving
from tenants import ADMIN, Tenancy, tenancy

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    with tenancy(tmp_path_factory.mktemp("managed"), upstream, PINNACE_AGENT__SPARES="0") as started:
        yield started


def kind(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_a_key_serves_its_project_and_its_secret_is_kept_nowhere(managed: Tenancy) -> None:
    made = managed.key(managed.project())
    secret = made["key"]
    assert secret.startswith("pn_live_")
    assert len(secret) == len("pn_live_") + 43
    assert managed.ask(secret, "::text aye").status_code == 200
    assert "key" not in managed.admin("GET", f"keys/{made['id']}").json()
    kept = [file for file in managed.served.directory.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if secret.encode() in file.read_bytes()]


def test_both_headers_carry_a_key(managed: Tenancy) -> None:
    secret = managed.key(managed.project())["key"]
    for headers in (
        {"x-api-key": secret},
        {"authorization": f"Bearer {secret}"},
        {"authorization": f"bearer {secret}"},
    ):
        url = f"{managed.served.url}/v1/usage"
        assert managed.served.http.get(url, headers={"x-api-key": ""} | headers).status_code == 200


@pytest.mark.parametrize("secret", ["pn_live_" + "x" * 43, "sk-ant-something", "", ADMIN[:-1]])
def test_a_key_that_nobody_made_opens_nothing(managed: Tenancy, secret: str) -> None:
    assert kind(managed.ask(secret, "::text aye")) == (401, "authentication_error")
    assert kind(managed.admin("GET", "projects", key=secret)) == (401, "authentication_error")


def test_a_revoked_key_stops_at_once_and_for_good(managed: Tenancy) -> None:
    made = managed.key(managed.project())
    assert managed.ask(made["key"], "::text aye").status_code == 200
    assert managed.admin("DELETE", f"keys/{made['id']}").json()["revoked_at"] is not None
    assert kind(managed.ask(made["key"], "::text aye")) == (401, "authentication_error")
    managed.admin("PATCH", f"keys/{made['id']}", {"name": "Again"})
    assert kind(managed.ask(made["key"], "::text aye")) == (401, "authentication_error")


def test_a_key_is_good_until_it_expires(managed: Tenancy) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    secret = managed.key(managed.project(), expires_at=soon.isoformat())["key"]
    assert managed.ask(secret, "::text aye").status_code == 200
    time.sleep(1.6)
    assert kind(managed.ask(secret, "::text aye")) == (401, "authentication_error")


def test_the_keys_of_an_archived_project_open_nothing(managed: Tenancy) -> None:
    project_id = managed.project()
    secret = managed.key(project_id)["key"]
    assert managed.admin("DELETE", f"projects/{project_id}").json()["archived_at"] is not None
    assert kind(managed.ask(secret, "::text aye")) == (401, "authentication_error")
    assert kind(managed.admin("POST", "keys", {"project_id": project_id, "name": "k"})) == (403, "permission_error")


def test_a_key_may_do_what_its_scopes_say(managed: Tenancy) -> None:
    secret = managed.key(managed.project(), scopes=["usage"])["key"]
    assert kind(managed.ask(secret, "::text aye")) == (403, "permission_error")
    assert managed.admin("GET", "usage", key=secret).status_code == 200
    assert kind(managed.admin("GET", "projects", key=secret)) == (403, "permission_error")
    assert kind(managed.admin("POST", "projects", {"name": "Mine"}, key=secret)) == (403, "permission_error")


def test_a_key_with_the_scope_of_administrators_is_one(managed: Tenancy) -> None:
    secret = managed.key(managed.project(), scopes=["admin"])["key"]
    assert managed.admin("POST", "projects", {"name": "Another"}, key=secret).status_code == 201


def test_models_are_allowed_by_the_project_and_by_the_key(managed: Tenancy) -> None:
    project_id = managed.project(allowed_models=["claude-haiku-*", "claude-sonnet-*"])
    secret = managed.key(project_id, allowed_models=["claude-sonnet-5-5"])["key"]
    assert [model["id"] for model in managed.admin("GET", "models", key=secret).json()["data"]] == ["claude-sonnet-5-5"]
    assert managed.admin("GET", "models/claude-sonnet-5-5", key=secret).status_code == 200
    assert managed.admin("GET", "models/opus", key=secret).status_code == 404
    assert managed.ask(secret, "::text aye", model="sonnet").status_code == 200
    assert kind(managed.ask(secret, "::text aye", model="haiku")) == (403, "permission_error")
    assert kind(managed.ask(managed.key(project_id)["key"], "::text aye", model="opus")) == (403, "permission_error")
    assert managed.ask(secret, "Prove it.\n::text aye", model="auto").json()["model"] == "claude-sonnet-5-5"


def test_a_key_may_choose_the_profile_of_its_calls(managed: Tenancy) -> None:
    project_id = managed.project()
    for profile, tools in (("messages", 0), ("agent", 1)):
        managed.served.upstream.forget()
        secret = managed.key(project_id, profile=profile)["key"]
        assert managed.ask(secret, "::text aye", prefix="").status_code == 200
        assert bool(managed.served.upstream.bodies[-1].get("tools")) == bool(tools)


def test_another_projects_ids_answer_like_those_that_do_not_exist(managed: Tenancy) -> None:
    theirs, mine = managed.project(), managed.project()
    their_key, my_key = managed.key(theirs), managed.key(mine)["key"]
    for path in ("projects/{}", "usage?project_id={}"):
        other, none = (managed.admin("GET", path.format(name), key=my_key) for name in (theirs, "prj_none"))
        assert kind(other) == kind(none) == (404, "not_found_error")
        said = [answer.json()["error"]["message"] for answer in (other, none)]
        assert said[0].replace(theirs, "prj_none") == said[1]
    other = managed.admin("GET", f"usage?key_id={their_key['id']}", key=my_key)
    none = managed.admin("GET", "usage?key_id=key_none", key=my_key)
    assert kind(other) == kind(none) == (404, "not_found_error")
    assert managed.admin("GET", f"projects/{mine}", key=my_key).status_code == 200


def test_what_is_changed_is_changed_alone(managed: Tenancy) -> None:
    project_id = managed.project(budget={"monthly_usd": "1.50", "total_tokens": 9})
    changed = managed.admin("PATCH", f"projects/{project_id}", {"name": "Renamed"}).json()
    assert (changed["name"], changed["budget"]["monthly_usd"]) == ("Renamed", "1.500000")
    changed = managed.admin("PATCH", f"projects/{project_id}", {"budget": {"monthly_usd": 2}}).json()
    assert changed["budget"] == {
        "monthly_usd": "2.000000",
        "total_usd": None,
        "monthly_tokens": None,
        "total_tokens": None,
        "mode": "hard",
    }
    key_id = managed.key(project_id, limits={"concurrent": 3})["id"]
    changed = managed.admin(
        "PATCH", f"keys/{key_id}", {"name": "Other", "expires_at": "2030-01-01T01:00:00+01:00"}
    ).json()
    assert (changed["name"], changed["limits"]["concurrent"]) == ("Other", 3)
    assert changed["expires_at"] == "2030-01-01T00:00:00Z"


def test_lists_come_in_pages(managed: Tenancy) -> None:
    project_id = managed.project()
    made = [managed.key(project_id, name=f"Key {number}")["id"] for number in range(3)]
    first = managed.admin("GET", f"keys?project_id={project_id}&limit=2").json()
    assert ([key["id"] for key in first["data"]], first["has_more"], first["last_id"]) == (made[:2], True, made[1])
    rest = managed.admin("GET", f"keys?project_id={project_id}&limit=2&after_id={first['last_id']}").json()
    assert ([key["id"] for key in rest["data"]], rest["has_more"]) == (made[2:], False)
    assert project_id in [one["id"] for one in managed.admin("GET", "projects?limit=1000").json()["data"]]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("projects", {}, "name"),
        ("projects", {"name": " "}, "name"),
        ("projects", {"name": "P", "budgets": {}}, "budgets"),
        ("projects", {"name": "P", "budget": {"monthly_usd": -1}}, "budget.monthly_usd"),
        ("projects", {"name": "P", "budget": {"monthly_usd": 0.0000001}}, "budget.monthly_usd"),
        ("projects", {"name": "P", "budget": {"total_usd": "many"}}, "budget.total_usd"),
        ("projects", {"name": "P", "budget": {"monthly_tokens": 1.5}}, "budget.monthly_tokens"),
        ("projects", {"name": "P", "budget": {"mode": "soft"}}, "budget.mode"),
        ("keys", {"name": "K"}, "project_id"),
        ("keys", {"name": "K", "project_id": "p", "scopes": ["root"]}, "scopes.0"),
        ("keys", {"name": "K", "project_id": "p", "limits": {"concurrent": 0}}, "limits.concurrent"),
        ("keys", {"name": "K", "project_id": "p", "profile": "robot"}, "profile"),
        ("keys", {"name": "K", "project_id": "p", "expires_at": "tomorrow"}, "expires_at"),
        ("keys", {"name": "K", "project_id": "p", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_a_wrong_field_is_named(managed: Tenancy, path: str, body: dict[str, Any], field: str) -> None:
    answer = managed.admin("POST", path, body)
    assert kind(answer) == (400, "invalid_request_error")
    assert answer.json()["error"]["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", ["projects?limit=0", "projects?limit=many", "keys", "audit?limit=1001"])
def test_a_list_that_cannot_be_given_is_refused(managed: Tenancy, path: str) -> None:
    assert kind(managed.admin("GET", path)) == (400, "invalid_request_error")


@pytest.mark.parametrize("path", ["projects/prj_none", "keys/key_none", "keys?project_id=prj_none"])
def test_what_does_not_exist_is_not_found(managed: Tenancy, path: str) -> None:
    assert kind(managed.admin("GET", path)) == (404, "not_found_error")


def test_every_act_is_written_down_with_who_did_it(managed: Tenancy) -> None:
    project_id = managed.project()
    made = managed.key(project_id, scopes=["admin"])
    managed.admin("DELETE", f"keys/{managed.key(project_id)['id']}", key=made["key"])
    acts = managed.admin("GET", f"audit?project_id={project_id}").json()["data"]
    assert [(act["action"], act["actor"]) for act in acts] == [
        ("key.revoke", made["id"]),
        ("key.create", "configuration"),
        ("key.create", "configuration"),
        ("project.create", "configuration"),
    ]


@pytest.mark.parametrize("path", ["config", "pool/stats"])
def test_what_the_server_tells_of_itself_is_not_for_its_tenants(managed: Tenancy, path: str) -> None:
    secret = managed.key(managed.project())["key"]
    assert kind(managed.admin("GET", path, key=secret)) == (403, "permission_error")
    assert managed.admin("GET", path).status_code == 200
    assert kind(managed.admin("GET", "../metrics", key=secret)) == (403, "permission_error")


def test_a_server_without_keys_serves_all_and_is_administrated_by_none(served: Served) -> None:
    for key in ("any", "pn_live_nobody"):
        answer = served.http.get(f"{served.url}/v1/projects", headers={"x-api-key": key})
        assert answer.status_code == (403 if key == "any" else 401)
    assert served.http.get(f"{served.url}/v1/usage").json()["project_id"] == "default"


def test_projects_and_keys_outlive_the_server(upstream: Upstream, own_directory: Path) -> None:
    with tenancy(own_directory, upstream, PINNACE_AGENT__SPARES="0") as first:
        project_id, secret = first.secret(monthly_usd=5)
        assert first.ask(secret, "::text aye").status_code == 200
        before = first.admin("GET", f"projects/{project_id}").json()
    with tenancy(own_directory, upstream, PINNACE_AGENT__SPARES="0") as second:
        assert second.admin("GET", f"projects/{project_id}").json() == before
        assert second.ask(secret, "::text aye").status_code == 200
    variables = {"PINNACE_HOST": "127.0.0.1", "PINNACE_AGENT__SPARES": "0"}
    with serving(own_directory, upstream, **variables) as third:
        assert third.http.get(f"{third.url}/v1/usage").status_code == 401
        third.http.headers["x-api-key"] = secret
