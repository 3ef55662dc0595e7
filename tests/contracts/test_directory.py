"""Knows what a directory promises: projects do not see each other, and what is revoked stays revoked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from crowds import in_threads

from pinnace.core.model.access import (
    AuditEntry,
    Budget,
    BudgetMode,
    Key,
    Limits,
    Project,
    Scope,
)
from pinnace.core.model.run import Profile
from pinnace.core.stores.tenancy import Stores

FULL = Project(
    "prj_full",
    "Harbour",
    created_at=5.5,
    budget=Budget(1, 2, 3, 4, BudgetMode.WARN),
    allowed_models=("claude-haiku-*", "claude-sonnet-5-5"),
    archived_at=9.0,
)


def project(name: str = "prj_1") -> Project:
    return Project(name, f"The {name}", created_at=1.0)


def key(name: str = "key_1", owner: str = "prj_1") -> Key:
    return Key(name, owner, f"The {name}", digest=f"digest of {name}", hint="abcd", created_at=2.0)


FULL_KEY = Key(
    "key_full",
    "prj_1",
    "Full",
    digest="d",
    hint="wxyz",
    created_at=1.5,
    scopes=frozenset([Scope.ADMIN, Scope.FILES]),
    profile=Profile.AGENT,
    allowed_models=("claude-*",),
    limits=Limits(1, 2, 3, 4, 5),
    budget=Budget(monthly_tokens=7),
    expires_at=99.0,
    revoked_at=50.0,
    last_used_at=40.0,
)


async def test_a_project_comes_back_as_it_was_given(stores: Stores) -> None:
    for given in (FULL, project()):
        assert await stores.directory.add_project(given)
        assert await stores.directory.project(given.id) == given
    assert await stores.directory.project("prj_none") is None


async def test_the_id_of_a_project_is_taken_once(stores: Stores) -> None:
    assert await stores.directory.add_project(project())
    assert not await stores.directory.add_project(replace(project(), name="Other"))
    assert await stores.directory.project("prj_1") == project()


async def test_a_project_is_changed_where_there_is_one(stores: Stores) -> None:
    await stores.directory.add_project(project())
    changed = replace(project(), name="Other", budget=Budget(total_tokens=5))
    assert await stores.directory.change_project(changed)
    assert await stores.directory.project("prj_1") == changed
    assert not await stores.directory.change_project(project("prj_2"))
    assert await stores.directory.project("prj_2") is None


async def test_projects_come_in_pages_in_their_order(stores: Stores) -> None:
    made = [project(f"prj_{number}") for number in (3, 1, 2)]
    for one in made:
        await stores.directory.add_project(one)
    assert await stores.directory.projects(10) == made
    assert await stores.directory.projects(2) == made[:2]
    assert await stores.directory.projects(2, after="prj_1") == made[2:]
    assert await stores.directory.projects(2, after="prj_2") == []
    assert await stores.directory.projects(2, after="prj_none") == []


async def test_a_key_comes_back_as_it_was_given(stores: Stores) -> None:
    await stores.directory.add_project(project())
    for given in (FULL_KEY, key()):
        assert await stores.directory.add_key(given)
        assert await stores.directory.find_key(given.digest) == given
        assert await stores.directory.key("prj_1", given.id) == given
        assert await stores.directory.any_key(given.id) == given
    assert await stores.directory.find_key("other") is None


@pytest.mark.parametrize("other", [key("key_1"), replace(key("key_2"), digest=key().digest), key("key_3", "prj_none")])
async def test_a_key_needs_an_id_a_digest_and_a_project_of_its_own(stores: Stores, other: Key) -> None:
    await stores.directory.add_project(project())
    assert await stores.directory.add_key(key())
    assert not await stores.directory.add_key(other)
    assert await stores.directory.keys("prj_1", 10) == [key()]


async def test_a_key_of_another_project_is_not_there(stores: Stores) -> None:
    for name in ("prj_1", "prj_2"):
        await stores.directory.add_project(project(name))
    await stores.directory.add_key(key())
    assert await stores.directory.key("prj_2", "key_1") is None
    assert await stores.directory.keys("prj_2", 10) == []
    assert not await stores.directory.change_key(replace(key(), project_id="prj_2", name="Mine"))
    await stores.directory.touch_key("prj_2", "key_1", 9.0)
    assert await stores.directory.key("prj_1", "key_1") == key()


async def test_keys_come_in_pages_in_their_order(stores: Stores) -> None:
    await stores.directory.add_project(project())
    made = [key(f"key_{number}") for number in (3, 1, 2)]
    for one in made:
        await stores.directory.add_key(one)
    assert await stores.directory.keys("prj_1", 2) == made[:2]
    assert await stores.directory.keys("prj_1", 2, after="key_1") == made[2:]
    assert await stores.directory.keys("prj_1", 2, after="key_none") == []


async def test_what_is_revoked_stays_revoked(stores: Stores) -> None:
    await stores.directory.add_project(project())
    await stores.directory.add_key(key())
    assert await stores.directory.change_key(replace(key(), revoked_at=7.0))
    assert await stores.directory.change_key(replace(key(), name="Other", revoked_at=None))
    found = await stores.directory.find_key(key().digest)
    assert found == replace(key(), name="Other", revoked_at=7.0)


async def test_the_last_use_is_the_latest_one_and_no_change_undoes_it(stores: Stores) -> None:
    await stores.directory.add_project(project())
    await stores.directory.add_key(key())
    for at in (5.0, 3.0):
        await stores.directory.touch_key("prj_1", "key_1", at)
    await stores.directory.change_key(replace(key(), name="Other"))
    assert await stores.directory.key("prj_1", "key_1") == replace(key(), name="Other", last_used_at=5.0)


async def test_whether_any_key_was_made_is_known(stores: Stores) -> None:
    assert not await stores.directory.has_keys()
    await stores.directory.add_project(project())
    await stores.directory.add_key(replace(key(), revoked_at=1.0))
    assert await stores.directory.has_keys()


async def test_acts_are_kept_and_the_latest_comes_first(stores: Stores) -> None:
    entries = [
        AuditEntry(1.0, "key_1", "project.create", "prj_1", "prj_1", {"name": "One"}),
        AuditEntry(2.0, "configuration", "key.revoke", "key_2", "prj_2"),
        AuditEntry(3.0, "key_1", "key.create", "key_3", "prj_1", {}),
    ]
    for entry in entries:
        await stores.directory.record(entry)
    assert await stores.directory.audit(None, 10) == entries[::-1]
    assert await stores.directory.audit(None, 2) == entries[:0:-1]
    assert await stores.directory.audit("prj_1", 10) == [entries[2], entries[0]]
    assert await stores.directory.audit("prj_none", 10) == []


def test_of_fifty_who_want_an_id_one_gets_it(stores: Stores) -> None:
    async def work(number: int) -> bool:
        return await stores.directory.add_project(replace(project(), name=str(number)))

    assert in_threads(work, 50) == 1

    async def make(number: int) -> bool:
        return await stores.directory.add_key(replace(key(), digest=str(number)))

    assert in_threads(make, 50) == 1
    assert len(asyncio.run(_keys(stores))) == 1


async def _keys(stores: Stores) -> list[Key]:
    return list(await stores.directory.keys("prj_1", 100))
