"""Knows what is promised of the connections to Redis: opened where they are needed, soon given up, and silent about secrets."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from typing import Any, cast

import pytest
from crowds import in_threads
from redis import Redis
from redis_operations import ANSWER, ID, NOW, operations
from redis_server import redis_server, shared_server
from served import free_port

from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.errors import Misconfigured, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.model.limits import Take

SECRET = "s3cret"


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
