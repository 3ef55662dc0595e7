"""Knows what is promised of Redis beyond the contracts: one round trip, keys that end by themselves, one kind of failure."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from crowds import in_processes, in_threads
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.crc import key_slot
from redis_server import redis_server, shared_server
from served import free_port
from stores import KINDS

from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.redis.answers import SWEPT, RedisAnswerStore
from pinnace.core.adapters.redis.connection import SPARE, Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.errors import Misconfigured, RateLimited, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.model.limits import Lease, Take
from pinnace.core.ports import Limiter

NOW = 1_800_000_000.25
TAKES = [Take("key_1", kind, 60, 2) for kind in ("requests", "input-tokens", "output-tokens")]
LEASE = Lease("key_1", "call_1", 3, NOW + 600)
ID = AnswerId(AnswerKind.CACHE, "prj_1", "name")
ANSWER = KeptAnswer("f", b"\x00answer\xff")
SECRET = "s3cret"


def operations(connection: Connection) -> dict[str, Callable[[], Awaitable[object]]]:
    limiter, answers = RedisLimiter(connection), RedisAnswerStore(connection)
    return {
        "enter": lambda: limiter.enter(TAKES, NOW, LEASE),
        "leave": lambda: limiter.leave([(take, 1) for take in TAKES], NOW, LEASE),
        "claim": lambda: answers.claim(ID, "f", NOW, NOW + 10),
        "release": lambda: answers.release(ID),
        "keep": lambda: answers.keep(ID, ANSWER, NOW, NOW + 10),
        "look": lambda: answers.look(ID, NOW),
        "forget": lambda: answers.forget(AnswerKind.CACHE, "prj_1"),
    }


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"test:{tmp_path.name}:{tmp_path.stat().st_ino}"


@pytest.fixture
async def connection(prefix: str) -> AsyncIterator[Connection]:
    opened = Connection(shared_server(), prefix)
    yield opened
    await opened.aclose()


@pytest.fixture
def inside() -> Iterator[Any]:
    """A look into the server that all tests share; redis-py's types leave open what a command gives."""
    with Redis.from_url(shared_server()) as client:
        yield client


def keys(inside: Any, prefix: str) -> list[str]:
    return sorted(key.decode() for key in inside.scan_iter(f"{prefix}:*"))


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


def test_loops_do_not_share_connections_and_leave_none(prefix: str, inside: Any) -> None:
    before = len(inside.client_list())
    connection = Connection(shared_server(), prefix)
    limiter = RedisLimiter(connection)

    async def enter() -> bool:
        await limiter.enter([Take("key_1", "requests", 1_000, 1)], NOW)
        return True

    for _ in range(3):
        assert asyncio.run(enter())
    assert in_threads(lambda _number: enter(), 100) == 100
    deadline = time.monotonic() + 5
    while len(inside.client_list()) > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_it_is_opened_again_after_it_was_closed(connection: Connection) -> None:
    for _ in range(2):
        await operations(connection)["look"]()
        await connection.aclose()
        await connection.aclose()


async def test_a_caller_that_leaves_takes_nobody_elses_answer(connection: Connection) -> None:
    answers = RedisAnswerStore(connection)
    ids = [AnswerId(AnswerKind.CACHE, "prj_1", str(number)) for number in range(100)]
    for one in ids:
        await answers.keep(one, KeptAnswer(one.name, b""), NOW, NOW + 10)
    for step in range(30):
        looking = [asyncio.create_task(answers.look(one, NOW)) for one in ids]
        await asyncio.sleep(step / 10_000)
        for task in looking[::2]:
            task.cancel()
        found = await asyncio.gather(*looking, return_exceptions=True)
        for one, kept in zip(ids, found, strict=True):
            assert isinstance(kept, asyncio.CancelledError) or kept == KeptAnswer(one.name, b"")


async def test_a_server_that_was_away_is_used_again() -> None:
    port = free_port()
    connection = Connection(f"redis://127.0.0.1:{port}", "test")
    work = operations(connection)
    with redis_server(port=port):
        await asyncio.gather(*(work["keep"]() for _ in range(5)))
    for name in work:
        began = time.monotonic()
        with pytest.raises(StoreFailed):
            await work[name]()
        assert time.monotonic() - began < 1
    with redis_server(port=port):
        assert await work["look"]() is None
        await asyncio.gather(*(work["keep"]() for _ in range(5)))
        assert await work["look"]() == ANSWER
    await connection.aclose()


async def test_a_server_that_restarts_between_two_calls_is_not_noticed() -> None:
    port = free_port()
    connection = Connection(f"redis://127.0.0.1:{port}", "test")
    for _ in range(2):
        with redis_server(port=port):
            for work in operations(connection).values():
                await work()
        # The loop must turn once to see that the connection was closed.
        await asyncio.sleep(0.01)
    await connection.aclose()


async def test_a_server_that_another_took_over_from_is_left() -> None:
    with redis_server() as url, Redis.from_url(url) as client:
        connection, inside = Connection(url, "test"), cast("Any", client)
        await operations(connection)["keep"]()
        inside.execute_command("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(StoreFailed):
            await operations(connection)["keep"]()
        await asyncio.sleep(0.05)
        assert len(inside.client_list()) == 1
        inside.execute_command("REPLICAOF", "NO", "ONE")
        await operations(connection)["keep"]()
        await connection.aclose()


async def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"redis://:{SECRET}@127.0.0.1:{silent.getsockname()[1]}", "test", patience=0.2)
        began = time.monotonic()
        with pytest.raises(StoreFailed):
            await operations(connection)["look"]()
        assert 0.2 <= time.monotonic() - began < 1
        await connection.aclose()


@pytest.mark.parametrize("begins", ["redis://", f"redis://:{SECRET}@", f"redis://me:{SECRET}@", f"rediss://:{SECRET}@"])
async def test_no_failure_shows_the_address_or_the_password(begins: str) -> None:
    port = free_port()
    # A server without TLS waits for more where it is greeted with it.
    connection = Connection(f"{begins}127.0.0.1:{port}/3", "test", patience=0.5)
    with pytest.raises(StoreFailed) as away:
        await operations(connection)["keep"]()
    with redis_server("--requirepass", "another", port=port), pytest.raises(StoreFailed) as refused:
        await operations(connection)["keep"]()
    await connection.aclose()
    for caught in (away, refused):
        assert "127.0.0.1" not in str(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}#@127.0.0.1",
        f"redis://:{SECRET}/@127.0.0.1:6379",
        f"redis://127.0.0.1?{SECRET}=1",
        f"redis://127.0.0.1?socket_timeout={SECRET}",
        f"http://{SECRET}",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^redis\.url: must be an address") as caught:
        Connection(url, "test")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_options_of_the_address_do_not_undo_what_pinnace_needs(prefix: str) -> None:
    connection = Connection(f"{shared_server()}?protocol=3&decode_responses=true&retry_on_timeout=true&db=1", prefix)
    answers = RedisAnswerStore(connection)

    async def keep() -> KeptAnswer | None:
        await answers.keep(ID, ANSWER, NOW, NOW + 10)
        return await answers.look(ID, NOW)

    assert asyncio.run(keep()) == ANSWER


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
