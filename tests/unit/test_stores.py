"""Knows which stores are opened for which settings, and that those of Redis are closed with the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.adapters.sqlite.directory import SqliteDirectory
from pinnace.core.adapters.sqlite.limiter import SqliteLimiter
from pinnace.core.errors import Misconfigured, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind
from pinnace.core.sources import load
from pinnace.core.stores import open_stores

URL = "redis://127.0.0.1:1"


async def test_each_store_is_opened_where_it_is_asked_for(tmp_path: Path) -> None:
    for store, kind in (("memory", MemoryLimiter), ("sqlite", SqliteLimiter)):
        opened = open_stores(load({"PINNACE_STORE": store, "PINNACE_DATA_DIR": str(tmp_path)}))
        assert isinstance(opened.limiter, kind)
        await opened.close()


async def test_redis_keeps_limits_and_answers_and_the_rest_stays(tmp_path: Path) -> None:
    opened = open_stores(load({"PINNACE_REDIS__URL": URL, "PINNACE_DATA_DIR": str(tmp_path)}))
    assert isinstance(opened.limiter, RedisLimiter)
    assert isinstance(opened.answers, RedisAnswerStore)
    assert isinstance(opened.directory, SqliteDirectory)
    assert not await opened.directory.has_keys()
    with pytest.raises(StoreFailed):
        await opened.answers.look(AnswerId(AnswerKind.CACHE, "prj_1", "name"), 0.0)
    for _ in range(2):
        await opened.close()


def test_an_option_that_redis_does_not_know_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"^redis\.url: "):
        open_stores(load({"PINNACE_REDIS__URL": f"{URL}?no_such_option=1"}))


def test_a_missing_package_is_named_with_what_brings_it(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["redis"] = None
from pinnace.core.errors import Misconfigured
from pinnace.core.sources import load
from pinnace.core.stores import open_stores
open_stores(load({{}}))
try:
    open_stores(load({{"PINNACE_REDIS__URL": "{URL}"}}))
except Misconfigured as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == (
        "redis.url: needs the package redis, which is not installed; pip install 'pinnace[redis]' brings it\n"
    )
