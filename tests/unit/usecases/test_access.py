"""Knows who a secret belongs to, that another project's keys are not there, and that what administrators do is noted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from clocks import HandClock

from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.errors import NotFound, PermissionRefused, Unauthenticated
from pinnace.core.model.access import (
    DEFAULT_PROJECT,
    KEY_PREFIX,
    ORDINARY,
    Budget,
    Key,
    Principal,
    Project,
    Scope,
    digest_of,
)
from pinnace.core.usecases.access import CONFIGURATION, TOUCH, Access

ROOT = Principal(Project("root", "root", 0.0), frozenset([Scope.ADMIN]))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def directory() -> MemoryDirectory:
    return MemoryDirectory()


@pytest.fixture
def access(directory: MemoryDirectory, clock: HandClock) -> Access:
    return Access(directory, clock, api_key="sk-own", admin_key="sk-admin")


async def project_and_key(access: Access, name: str = "shipyard", **fields: Any) -> tuple[Project, Key, str]:
    project = await access.create_project(ROOT, {"name": name})
    key, secret = await access.create_key(ROOT, project.id, {"name": "k", **fields})
    return project, key, secret


async def test_the_configured_key_calls_for_the_configured_project_and_may_not_administrate(access: Access) -> None:
    found = await access.authenticate("sk-own")
    assert (found.project_id, found.scopes, found.key, found.is_admin) == (DEFAULT_PROJECT, ORDINARY, None, False)
    elsewhere = await replace(access, project="elsewhere").authenticate("sk-own")
    assert elsewhere.project_id == "elsewhere"


async def test_the_administrators_key_may_do_everything(access: Access) -> None:
    found = await access.authenticate("sk-admin")
    assert found.is_admin
    assert all(found.may(scope) for scope in Scope)


async def test_the_configured_project_is_made_once(
    access: Access, directory: MemoryDirectory, clock: HandClock
) -> None:
    await access.authenticate("sk-own")
    clock.time += 5
    await access.authenticate("sk-own")
    await access.authenticate("sk-admin")
    assert await directory.projects(10) == [Project(DEFAULT_PROJECT, DEFAULT_PROJECT, created_at=1_000.0)]


async def test_a_key_that_was_made_calls_for_its_project_with_its_scopes(access: Access) -> None:
    project, key, secret = await project_and_key(access, scopes=frozenset([Scope.USAGE]))
    found = await access.authenticate(secret)
    assert (found.project, found.scopes, found.key_id) == (project, frozenset([Scope.USAGE]), key.id)
    assert not found.may(Scope.MESSAGES)


@pytest.mark.parametrize("secret", [None, ""])
async def test_a_caller_without_a_key_is_told_how_to_send_one(access: Access, secret: str | None) -> None:
    with pytest.raises(Unauthenticated, match="x-api-key"):
        await access.authenticate(secret)


@pytest.mark.parametrize("secret", ["sk-owl", "sk-own ", "SK-OWN", "sk-", "né", KEY_PREFIX, KEY_PREFIX + "x"])
async def test_a_key_that_nobody_has_is_refused_without_saying_it(access: Access, secret: str) -> None:
    with pytest.raises(Unauthenticated, match="not valid") as caught:
        await access.authenticate(secret)
    assert secret not in str(caught.value)


async def test_what_is_kept_of_a_key_opens_nothing(access: Access) -> None:
    _, key, _ = await project_and_key(access)
    for kept in (key.digest, KEY_PREFIX + key.digest, key.id, key.hint):
        with pytest.raises(Unauthenticated):
            await access.authenticate(kept)


async def test_a_revoked_key_is_good_for_nothing_for_ever(access: Access, clock: HandClock) -> None:
    _, key, secret = await project_and_key(access)
    clock.time = 1_500.0
    assert (await access.revoke_key(ROOT, key)).revoked_at == 1_500.0
    with pytest.raises(Unauthenticated, match="revoked"):
        await access.authenticate(secret)
    await access.change_key(ROOT, key, {"name": "again", "revoked_at": None})
    with pytest.raises(Unauthenticated, match="revoked"):
        await access.authenticate(secret)


async def test_a_key_that_is_revoked_again_was_revoked_the_first_time(access: Access, clock: HandClock) -> None:
    _, key, _ = await project_and_key(access)
    await access.revoke_key(ROOT, key)
    clock.time += 100
    assert (await access.revoke_key(ROOT, key)).revoked_at == 1_000.0


async def test_a_key_is_good_until_it_expires(access: Access, clock: HandClock) -> None:
    _, _, secret = await project_and_key(access, expires_at=2_000.0)
    clock.time = 1_999.9
    assert (await access.authenticate(secret)).key is not None
    clock.time = 2_000.0
    with pytest.raises(Unauthenticated, match="expired"):
        await access.authenticate(secret)


async def test_the_keys_of_an_archived_project_are_good_for_nothing(access: Access, clock: HandClock) -> None:
    project, _, secret = await project_and_key(access)
    _, _, other = await project_and_key(access, "harbour")
    assert (await access.archive_project(ROOT, project.id)).archived_at == 1_000.0
    clock.time += 50
    assert (await access.archive_project(ROOT, project.id)).archived_at == 1_000.0
    with pytest.raises(Unauthenticated, match="archived"):
        await access.authenticate(secret)
    assert (await access.authenticate(other)).key is not None


async def test_an_archived_project_gets_no_more_keys(access: Access) -> None:
    project, _, _ = await project_and_key(access)
    await access.archive_project(ROOT, project.id)
    with pytest.raises(PermissionRefused, match="archived"):
        await access.create_key(ROOT, project.id, {"name": "late"})


@pytest.mark.parametrize("secret", [None, "", "sk-anything"])
async def test_a_server_without_any_key_takes_any_caller_and_lets_none_administrate(
    directory: MemoryDirectory, clock: HandClock, secret: str | None
) -> None:
    found = await Access(directory, clock).authenticate(secret)
    assert (found.project_id, found.scopes, found.key_id) == (DEFAULT_PROJECT, ORDINARY, None)


async def test_a_key_of_this_servers_kind_is_never_taken_for_nobodys(
    directory: MemoryDirectory, clock: HandClock
) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        await Access(directory, clock).authenticate(KEY_PREFIX + "x")


async def test_an_open_server_closes_when_its_first_key_is_made_and_stays_closed(
    directory: MemoryDirectory, clock: HandClock
) -> None:
    access = Access(directory, clock)
    assert await access.is_open()
    _, key, secret = await project_and_key(access)
    await access.revoke_key(ROOT, key)
    assert not await access.is_open()
    for refused in (None, "sk-anything", secret):
        with pytest.raises(Unauthenticated):
            await access.authenticate(refused)


@pytest.mark.parametrize("keys", [{"api_key": "sk"}, {"admin_key": "sk"}])
async def test_a_server_with_a_configured_key_is_not_open(
    directory: MemoryDirectory, clock: HandClock, keys: dict[str, str]
) -> None:
    access = Access(directory, clock, **keys)
    assert not await access.is_open()
    with pytest.raises(Unauthenticated):
        await access.authenticate(None)


async def test_a_use_is_noted_at_most_once_a_minute(
    access: Access, directory: MemoryDirectory, clock: HandClock
) -> None:
    project, key, secret = await project_and_key(access)
    noted: list[float | None] = []
    for moment in (1_000.0, 1_000.0 + TOUCH / 2, 1_000.0 + TOUCH - 1, 1_001.0 + TOUCH, 1_002.0 + TOUCH):
        clock.time = moment
        await access.authenticate(secret)
        found = await directory.key(project.id, key.id)
        noted.append(found.last_used_at if found else None)
    assert noted == [1_000.0, 1_000.0, 1_000.0, 1_001.0 + TOUCH, 1_001.0 + TOUCH]


async def test_a_refused_use_is_not_noted(access: Access, directory: MemoryDirectory) -> None:
    project, key, secret = await project_and_key(access, expires_at=1.0)
    with pytest.raises(Unauthenticated):
        await access.authenticate(secret)
    found = await directory.key(project.id, key.id)
    assert found is not None
    assert found.last_used_at is None


async def test_a_secret_is_given_once_and_kept_nowhere(access: Access, directory: MemoryDirectory) -> None:
    project, key, secret = await project_and_key(access)
    kept = await directory.keys(project.id, 10)
    assert kept == [key]
    assert secret.startswith(KEY_PREFIX)
    assert (key.digest, key.hint) == (digest_of(secret), secret[-4:])
    assert secret not in repr(kept) + repr(await directory.audit(None, 10))


async def test_another_projects_objects_answer_as_what_is_not_there(access: Access) -> None:
    own, own_key, secret = await project_and_key(access)
    other, other_key, _ = await project_and_key(access, "harbour")
    actor = await access.authenticate(secret)
    assert await access.project_of(actor, own.id) == own
    assert (await access.key_of(actor, own.id, own_key.id)).id == own_key.id
    for project_id in (other.id, "prj_none"):
        with pytest.raises(NotFound, match=f"no project '{project_id}'"):
            await access.project_of(actor, project_id)
        with pytest.raises(NotFound):
            await access.change_project(actor, project_id, {"name": "mine"})
        with pytest.raises(NotFound):
            await access.archive_project(actor, project_id)
        with pytest.raises(NotFound):
            await access.create_key(actor, project_id, {"name": "mine"})
    for project_id, key_id in ((own.id, other_key.id), (other.id, other_key.id), (own.id, "key_none")):
        with pytest.raises(NotFound, match=f"no key '{key_id}'"):
            await access.key_of(actor, project_id, key_id)
    assert await access.project_of(ROOT, other.id) == other


async def test_an_administrator_finds_a_key_in_its_own_project_alone(access: Access) -> None:
    own, _, _ = await project_and_key(access)
    other, other_key, _ = await project_and_key(access, "harbour")
    assert await access.key_of(ROOT, other.id, other_key.id) == other_key
    with pytest.raises(NotFound):
        await access.key_of(ROOT, own.id, other_key.id)


async def test_a_change_replaces_the_fields_that_it_names_and_no_others(access: Access) -> None:
    project, key, secret = await project_and_key(access, allowed_models=("claude-*",))
    await access.authenticate(secret)
    budget = Budget(monthly_microusd=5)
    assert await access.change_project(ROOT, project.id, {"budget": budget}) == replace(project, budget=budget)
    changed = await access.change_key(ROOT, key, {"name": "other"})
    assert changed == replace(key, name="other", last_used_at=1_000.0)


async def test_every_act_is_noted_with_who_did_it_to_what(
    access: Access, directory: MemoryDirectory, clock: HandClock
) -> None:
    _, admin_key, secret = await project_and_key(access, "office", scopes=frozenset([Scope.ADMIN]))
    actor = await access.authenticate(secret)
    clock.time = 2_000.0
    project = await access.create_project(actor, {"name": "shipyard"})
    key, _ = await access.create_key(actor, project.id, {"name": "k"})
    await access.change_project(actor, project.id, {"name": "yard", "budget": Budget()})
    await access.change_key(actor, key, {"name": "l"})
    await access.revoke_key(actor, key)
    await access.archive_project(actor, project.id)
    entries = list(reversed(await directory.audit(project.id, 10)))
    assert [(entry.action, entry.target) for entry in entries] == [
        ("project.create", project.id),
        ("key.create", key.id),
        ("project.change", project.id),
        ("key.change", key.id),
        ("key.revoke", key.id),
        ("project.archive", project.id),
    ]
    assert {(entry.at, entry.actor, entry.project_id) for entry in entries} == {(2_000.0, admin_key.id, project.id)}
    assert entries[2].details == {"fields": ["budget", "name"]}
    assert {entry.actor for entry in await directory.audit(None, 10)} == {CONFIGURATION, admin_key.id}


async def test_what_was_refused_or_already_done_is_not_noted(access: Access, directory: MemoryDirectory) -> None:
    project, _, secret = await project_and_key(access)
    await access.archive_project(ROOT, project.id)
    noted = await directory.audit(None, 100)
    await access.archive_project(ROOT, project.id)
    for refused in (access.create_key(ROOT, project.id, {"name": "k"}), access.authenticate(secret)):
        with pytest.raises((PermissionRefused, Unauthenticated)):
            await refused
    assert await directory.audit(None, 100) == noted
