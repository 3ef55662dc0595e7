"""Knows one call of each operation that Redis is asked for, and which keys they leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.model.limits import Lease, Take

NOW = 1_800_000_000.25
TAKES = [Take("key_1", kind, 60, 2) for kind in ("requests", "input-tokens", "output-tokens")]
LEASE = Lease("key_1", "call_1", 3, NOW + 600)
ID = AnswerId(AnswerKind.CACHE, "prj_1", "name")
ANSWER = KeptAnswer("f", b"\x00answer\xff")


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


def keys(inside: Any, prefix: str) -> list[str]:
    return sorted(key.decode() for key in inside.scan_iter(f"{prefix}:*"))
