"""Knows that Redis may be a cluster: any of its nodes may be named, and each operation finds the node that has its keys."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis_server import BOUND, redis_server
from served import free_port

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.adapters.redis.transcripts import RedisTranscripts
from pinnace.core.errors import RateLimited, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.model.limits import Lease, Take

NOW = 1_800_000_000.0
SLOTS = 16_384
#: A node talks to the others on a port that is so much higher.
BUS = 10_000


def node_port() -> int:
    while (port := free_port()) + BUS > 65_535:
        pass
    return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two nodes with half of the slots each; gives the URL of one."""
    with ExitStack() as running:
        ports = [node_port() for _ in range(2)]
        urls = [running.enter_context(redis_server("--cluster-enabled", "yes", port=port)) for port in ports]
        nodes: list[Any] = [running.enter_context(Redis.from_url(url)) for url in urls]
        for number, node in enumerate(nodes):
            node.execute_command("CLUSTER ADDSLOTS", *range(SLOTS // 2 * number, SLOTS // 2 * (number + 1)))
        nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
        deadline = time.monotonic() + BOUND
        while any(node.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield urls[0]


async def test_limits_and_answers_are_kept_in_a_cluster(cluster: str) -> None:
    connection = Connection(cluster, "test")
    limiter, answers = RedisLimiter(connection), RedisAnswerStore(connection)
    names = [f"key_{random.randrange(10**9)}" for _ in range(20)]  # noqa: S311 - a test's dice

    async def use(name: str) -> None:
        take, lease = Take(name, "requests", 2, 1), Lease(name, "call", 1, NOW + 60)
        for remaining in (1, 0):
            (meter,) = await limiter.enter([take], NOW, lease)
            assert meter.remaining == remaining
            await limiter.leave([], NOW, lease)
        with pytest.raises(RateLimited):
            await limiter.enter([take], NOW, lease)
        kept = KeptAnswer(name, b"answer")
        for number in range(3):
            answer_id = AnswerId(AnswerKind.CACHE, name, str(number))
            assert await answers.claim(answer_id, name, NOW, NOW + 60) is None
            await answers.keep(answer_id, kept, NOW, NOW + 60)
            assert await answers.look(answer_id, NOW) == kept
        assert await answers.forget(AnswerKind.CACHE, name) == 3

    await asyncio.gather(*(use(name) for name in names))
    await connection.aclose()


async def test_a_slot_that_moves_to_another_node_is_found_there(cluster: str) -> None:
    connection = Connection(cluster, "test")
    answers, name = RedisAnswerStore(connection), AnswerId(AnswerKind.CACHE, "prj_1", "name")
    slot = key_slot(b"answers:cache:prj_1")
    with ExitStack() as running:
        known: Any = running.enter_context(Redis.from_url(cluster)).execute_command("CLUSTER NODES")
        nodes = [running.enter_context(Redis.from_url(f"redis://{address}")) for address in known]
        for there in known.values():
            for node in nodes:
                node.execute_command("CLUSTER SETSLOT", slot, "NODE", there["node_id"])
            assert await answers.claim(name, "f", NOW, NOW + 60) is None
            assert await answers.forget(AnswerKind.CACHE, "prj_1") == 1
    await connection.aclose()


async def test_what_is_taken_under_several_names_is_refused_in_a_cluster(cluster: str) -> None:
    connection = Connection(cluster, "test")
    with pytest.raises(StoreFailed):
        await RedisLimiter(connection).enter([Take(name, "requests", 2, 1) for name in "abc"], NOW)
    await connection.aclose()


async def test_transcripts_are_kept_in_a_cluster(cluster: str) -> None:
    connection = Connection(cluster, "test")
    transcripts, projects = RedisTranscripts(connection, SystemClock()), [f"p{number}" for number in range(10)]

    async def write(project: str) -> None:
        for subpath in ("", "subagents/agent-1"):
            key = {"project_key": project, "session_id": "s", "subpath": subpath}
            await transcripts.append(key, [{"uuid": "1"}], fence=1)
            assert await transcripts.load(key) == [{"uuid": "1"}]
        assert len(await transcripts.list_sessions(project)) == 1
        await transcripts.delete({"project_key": project, "session_id": "s"})
        assert await transcripts.list_sessions(project) == []

    await asyncio.gather(*map(write, projects))
    await connection.aclose()
