"""Knows what is promised of Redis beyond the contracts: one round trip, keys that end by themselves, the same arithmetic."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

from crowds import in_processes
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.crc import key_slot
from redis_operations import ANSWER, ID, NOW, TAKES, keys, operations
from redis_server import shared_server
from stores import KINDS

from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.redis.answers import SWEPT, RedisAnswerStore
from pinnace.core.adapters.redis.connection import SPARE, Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.errors import RateLimited
from pinnace.core.model.answers import AnswerId, AnswerKind
from pinnace.core.model.limits import Lease, Take
from pinnace.core.ports import Limiter


async def test_an_operation_takes_one_round_trip_and_reads_no_other_key(connection: Connection, inside: Any) -> None:
    for work in operations(connection).values():
        await work()
    with inside.monitor() as monitor:
        inside.ping()
        while monitor.next_command()["command"] != "PING":
            pass
        for name, work in operations(connection).items():
            await work()
            inside.echo(name)
            commands = []
            while (seen := monitor.next_command())["command"] != f"ECHO {name}":
                commands.append((seen["client_type"] == "lua", seen["command"].split()[0].upper()))
            assert [word for in_script, word in commands if not in_script] == ["HMGET" if name == "look" else "EVALSHA"]
            assert not {"KEYS", "SCAN", "TIME"} & {word for _, word in commands}


async def test_scripts_that_the_server_forgot_are_given_to_it_again(connection: Connection, inside: Any) -> None:
    for work in operations(connection).values():
        inside.script_flush()
        await work()


async def test_each_key_ends_by_itself_but_not_before_what_it_holds(
    connection: Connection, inside: Any, prefix: str
) -> None:
    for name in ("enter", "claim", "keep"):
        await operations(connection)[name]()
    lives = {key.rpartition("}:")[2]: inside.pttl(key) for key in keys(inside, prefix)}
    expected = {f"take:{take.kind}": 2_000 for take in TAKES} | {
        "places": 600_000,
        "answer:name": 10_000,
        "names": 10_000,
    }
    assert lives.keys() == expected.keys()
    for name, milliseconds in expected.items():
        assert milliseconds + SPARE - 5_000 < lives[name] <= milliseconds + SPARE


def test_processes_leave_no_key_that_stays(tmp_path: Path, inside: Any) -> None:
    KINDS["redis"](tmp_path)
    before = set(inside.scan_iter())
    for work in ("take", "occupy"):
        in_processes("redis", tmp_path, work, processes=2, times=20)
    made = set(inside.scan_iter()) - before
    assert len(made) == 2
    assert all(0 < inside.pttl(key) <= 60_000 + SPARE for key in made)


async def test_a_place_that_is_held_longer_keeps_the_others_key(
    connection: Connection, inside: Any, prefix: str
) -> None:
    limiter = RedisLimiter(connection)
    for number, seconds in enumerate((600, 1)):
        await limiter.enter([], NOW, Lease("key_1", f"call_{number}", 3, NOW + seconds))
    (places,) = keys(inside, prefix)
    assert inside.pttl(places) > 600_000


async def test_names_do_not_collide_and_those_of_one_operation_are_on_one_node(
    connection: Connection, inside: Any, prefix: str
) -> None:
    limiter, answers = RedisLimiter(connection), RedisAnswerStore(connection)
    names = ["", "a", "a:b", "a}", "{a}", "a%3Ab", "a b\n", "ä", "a}:take:x", "a}:answer:x"]
    for name in names:
        for kind in ("b:c", "c", "places", "}", "x}:take:c", "x}:answer:c"):
            (meter,) = await limiter.enter([Take(name, kind, 10, 1)], NOW, Lease(name, kind, 100, NOW + 10))
            assert meter.remaining == 9
            assert await answers.claim(AnswerId(AnswerKind.ONCE, name, kind), "f", NOW, NOW + 10) is None
    slots: dict[str, set[int]] = {}
    for key in keys(inside, prefix):
        slots.setdefault(key.partition("}:")[0], set()).add(key_slot(key.encode()))
    assert len(slots) == 2 * len(names)
    assert [len(found) for found in slots.values()] == [1] * len(slots)


async def test_what_is_forgotten_is_what_is_there(connection: Connection, inside: Any, prefix: str) -> None:
    answers = RedisAnswerStore(connection)
    names = [AnswerId(AnswerKind.CACHE, "prj_1", f"name_{number}") for number in range(2_500)]
    await asyncio.gather(*(answers.keep(name, ANSWER, NOW, NOW + 10) for name in names))
    inside.delete(keys(inside, prefix)[0])
    await answers.release(names[-1])
    assert await answers.forget(AnswerKind.CACHE, "prj_1") == 2_499
    assert keys(inside, prefix) == []
    assert await answers.forget(AnswerKind.CACHE, "prj_1") == 0


async def test_names_of_what_expired_are_cleared_away(connection: Connection, inside: Any, prefix: str) -> None:
    answers = RedisAnswerStore(connection)
    index = f"{prefix}:{{answers:cache:prj_1}}:names"
    for number in range(SWEPT + 20):
        await answers.keep(AnswerId(AnswerKind.CACHE, "prj_1", str(number)), ANSWER, NOW, NOW + 10)
    later = NOW + 10 + SPARE / 1000
    for left in (20 + 1, 2):
        await answers.keep(AnswerId(AnswerKind.CACHE, "prj_1", f"later_{left}"), ANSWER, later, later + 10)
        assert inside.zcard(index) == left
    await answers.claim(ID, "f", later, later + 10)
    await answers.release(ID)
    assert inside.zcard(index) == 2


Step = tuple[str, float, int, int, int]
steps = st.tuples(
    st.sampled_from(["enter", "leave"]),
    st.floats(-5, 90),
    st.sampled_from([1, 2, 7, 59, 60, 61, 499, 1_000_003, 4_000_000_000]),
    st.integers(0, 10_000_000),
    st.integers(0, 20_000),
)


async def answer_of(limiter: Limiter, step: Step, now: float) -> object:
    action, _, limit, units, used = step
    takes = [Take("key", "requests", limit, units % 3), Take("key", "tokens", limit, units)]
    if action == "leave":
        await limiter.leave([(take, used) for take in takes], now, Lease("key", str(used % 4), 2, now))
        return None
    try:
        return await limiter.enter(takes, now, Lease("key", str(used % 4), 2, now + used / 100))
    except RateLimited as error:
        return str(error), error.retry_after, error.meters


@settings(max_examples=100, deadline=None)
@given(begin=st.sampled_from([500.0, 999.9, NOW, 4e9 + 0.123456789]), run=st.lists(steps, min_size=2, max_size=20))
async def test_it_reckons_as_the_one_in_memory_does_to_the_nanosecond(begin: float, run: list[Step]) -> None:
    connection, reference, now = Connection(shared_server(), uuid.uuid4().hex), MemoryLimiter(), begin
    limiter = RedisLimiter(connection)
    for step in run:
        now += step[1]
        assert await answer_of(limiter, step, now) == await answer_of(reference, step, now)
    await connection.aclose()
