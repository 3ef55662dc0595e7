"""Knows what a store of answers promises: one maker for many askers, and no answer after its time or in another project."""

from __future__ import annotations

import asyncio

from crowds import in_threads

from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.stores.tenancy import Stores

ID = AnswerId(AnswerKind.ONCE, "prj_1", "name")
ANSWER = KeptAnswer("f", b"\x00answer\xff")


async def test_what_is_kept_is_there_until_its_time(stores: Stores) -> None:
    assert await stores.answers.look(ID, 0.0) is None
    await stores.answers.keep(ID, ANSWER, 0.0, 10.0)
    assert await stores.answers.look(ID, 9.9) == ANSWER
    assert await stores.answers.look(ID, 10.0) is None


async def test_a_claim_is_had_by_the_first_and_seen_by_the_rest(stores: Stores) -> None:
    assert await stores.answers.claim(ID, "f", 0.0, 10.0) is None
    assert await stores.answers.claim(ID, "g", 0.0, 10.0) == KeptAnswer("f", None)
    await stores.answers.keep(ID, ANSWER, 1.0, 20.0)
    assert await stores.answers.claim(ID, "f", 15.0, 30.0) == ANSWER


async def test_a_claim_that_expired_or_was_given_up_is_had_again(stores: Stores) -> None:
    assert await stores.answers.claim(ID, "f", 0.0, 10.0) is None
    assert await stores.answers.claim(ID, "g", 10.0, 20.0) is None
    await stores.answers.release(ID)
    assert await stores.answers.claim(ID, "h", 11.0, 20.0) is None


async def test_an_answer_is_not_given_up(stores: Stores) -> None:
    await stores.answers.keep(ID, ANSWER, 0.0, 10.0)
    await stores.answers.release(ID)
    assert await stores.answers.look(ID, 1.0) == ANSWER


async def test_projects_and_kinds_do_not_share(stores: Stores) -> None:
    await stores.answers.keep(ID, ANSWER, 0.0, 10.0)
    for other in (AnswerId(AnswerKind.ONCE, "prj_2", "name"), AnswerId(AnswerKind.CACHE, "prj_1", "name")):
        assert await stores.answers.look(other, 1.0) is None
        assert await stores.answers.claim(other, "f", 1.0, 10.0) is None


async def test_what_is_forgotten_is_of_one_kind_and_project(stores: Stores) -> None:
    ids = [AnswerId(kind, project, name) for kind in AnswerKind for project in ("prj_1", "prj_2") for name in "ab"]
    for one in ids:
        await stores.answers.keep(one, ANSWER, 0.0, 10.0)
    assert await stores.answers.forget(AnswerKind.CACHE, "prj_1") == 2
    left = [one for one in ids if await stores.answers.look(one, 1.0) is not None]
    assert left == [one for one in ids if (one.kind, one.project_id) != (AnswerKind.CACHE, "prj_1")]


def test_of_fifty_who_claim_at_once_one_gets_it(stores: Stores) -> None:
    async def work(_number: int) -> bool:
        return await stores.answers.claim(ID, "f", 0.0, 10.0) is None

    assert in_threads(work, 50) == 1
    assert asyncio.run(_look(stores)) == KeptAnswer("f", None)


async def _look(stores: Stores) -> KeptAnswer | None:
    return await stores.answers.look(ID, 1.0)
