"""Knows which stores are opened for which settings, and that those of Redis are closed with the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.dynamodb.directory import DynamoDirectory
from pinnace.core.adapters.dynamodb.limiter import DynamoLimiter
from pinnace.core.adapters.dynamodb.sessions import DynamoSessions
from pinnace.core.adapters.dynamodb.transcripts import DynamoTranscripts
from pinnace.core.adapters.memory.limiter import MemoryLimiter
from pinnace.core.adapters.redis.answers import RedisAnswerStore
from pinnace.core.adapters.redis.limiter import RedisLimiter
from pinnace.core.adapters.redis.transcripts import RedisTranscripts
from pinnace.core.adapters.sqlite.directory import SqliteDirectory
from pinnace.core.adapters.sqlite.limiter import SqliteLimiter
from pinnace.core.adapters.sqlite.sessions import SqliteSessions
from pinnace.core.errors import Misconfigured, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind
from pinnace.core.sources import load
from pinnace.core.stores.sessions import open_sessions
from pinnace.core.stores.tenancy import open_stores

URL = "redis://127.0.0.1:1"
AWS = {"PINNACE_STORE": "dynamodb", "PINNACE_AWS__TABLE": "table", "PINNACE_AWS__BUCKET": "bucket"}


async def test_each_store_is_opened_where_it_is_asked_for(tmp_path: Path) -> None:
    for store, kind in (("memory", MemoryLimiter), ("sqlite", SqliteLimiter), ("dynamodb", DynamoLimiter)):
        opened = open_stores(load(AWS | {"PINNACE_STORE": store, "PINNACE_DATA_DIR": str(tmp_path)}))
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


@pytest.mark.parametrize("missing", ["table", "bucket"])
def test_a_table_and_a_bucket_are_needed_in_aws(missing: str) -> None:
    variables = {name: value for name, value in AWS.items() if not name.endswith(missing.upper())}
    for opening in (open_stores, lambda settings: open_sessions(settings, SystemClock())):
        with pytest.raises(Misconfigured, match=rf"^aws\.{missing}: must be set"):
            opening(load(variables))


async def test_redis_keeps_limits_where_the_rest_is_in_aws() -> None:
    opened = open_stores(load(AWS | {"PINNACE_REDIS__URL": URL}))
    assert isinstance(opened.limiter, RedisLimiter)
    assert isinstance(opened.directory, DynamoDirectory)
    await opened.close()


async def test_redis_keeps_transcripts_where_it_is_told_to(tmp_path: Path) -> None:
    own = {"PINNACE_DATA_DIR": str(tmp_path), "PINNACE_REDIS__URL": URL}
    for variables, sessions, transcripts in (
        (AWS, DynamoSessions, DynamoTranscripts),
        (AWS | {"PINNACE_SESSIONS__TRANSCRIPTS": "redis"}, DynamoSessions, RedisTranscripts),
        ({"PINNACE_SESSIONS__TRANSCRIPTS": "redis"}, SqliteSessions, RedisTranscripts),
    ):
        opened = open_sessions(load(own | variables), SystemClock())
        assert isinstance(opened.sessions, sessions)
        assert isinstance(opened.transcripts, transcripts)
        await opened.close()
    with pytest.raises(Misconfigured, match=r"^redis\.url: must be set"):
        open_sessions(load({"PINNACE_SESSIONS__TRANSCRIPTS": "redis"}), SystemClock())


async def test_a_region_that_nobody_names_is_a_failure_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    opened = open_stores(load(AWS))
    with pytest.raises(StoreFailed, match="NoRegionError"):
        await opened.directory.has_keys()
    await opened.close()


@pytest.mark.parametrize(
    ("package", "variables", "said"),
    [
        (
            "redis",
            {"PINNACE_REDIS__URL": URL},
            "redis.url: needs the package redis, which is not installed; pip install 'pinnace[redis]' brings it",
        ),
        ("boto3", AWS, "store: needs the package boto3, which is not installed; pip install 'pinnace[aws]' brings it"),
    ],
)
def test_a_missing_package_is_named_with_what_brings_it(
    tmp_path: Path, package: str, variables: dict[str, str], said: str
) -> None:
    code = f"""
import sys
sys.modules["{package}"] = None
from pinnace.core.errors import Misconfigured
from pinnace.core.sources import load
from pinnace.core.stores.tenancy import open_stores
open_stores(load({{}}))
try:
    open_stores(load({variables!r}))
except Misconfigured as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"{said}\n"
