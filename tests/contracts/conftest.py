"""Knows that every store of the port that a file is named for is put through the same tests, and what those of Redis share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import batch_stores
import pytest
import session_stores
from redis import Redis
from redis_server import shared_server
from session_stores import SessionStores
from stores import KINDS, SHARED, keepers

from pinnace.core.adapters.redis.connection import Connection
from pinnace.core.ports import Batches
from pinnace.core.stores.tenancy import Stores

#: Stores that are a server of their own, an emulator's or a real one: `make test-stores` runs their tests.
SERVED = ("dynamodb", "redis", "s3", "sqs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "contracts":
            parameters = getattr(item, "callspec", None)
            kinds = list(parameters.params.values()) if parameters else []
            if item.path.stem.removeprefix("test_").startswith(SERVED) or any(kind in SERVED for kind in kinds):
                item.add_marker(pytest.mark.stores)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in {"kept", "fresh"}.intersection(metafunc.fixturenames):
        metafunc.parametrize(fixture, list(session_stores.KINDS), indirect=True)
    if "batches" in metafunc.fixturenames:
        metafunc.parametrize("batches", list(batch_stores.KINDS), indirect=True)
    if "kept_shared" in metafunc.fixturenames:
        metafunc.parametrize("kept_shared", session_stores.SHARED, indirect=True)
    kinds = keepers(metafunc.definition.path.stem.removeprefix("test_"))
    if "stores" in metafunc.fixturenames:
        metafunc.parametrize("stores", kinds, indirect=True)
    if "shared" in metafunc.fixturenames:
        metafunc.parametrize("shared", [kind for kind in kinds if kind in SHARED], indirect=True)


@pytest.fixture
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    opened = KINDS[request.param](tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    # The first to open a place prepares it, and the processes open it all at once.
    KINDS[request.param](tmp_path)
    return request.param, tmp_path


@pytest.fixture
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStores]:
    opened = session_stores.KINDS[request.param](tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], SessionStores]]:
    """Opens another empty store whenever it is called."""
    opened = list[SessionStores]()

    def make() -> SessionStores:
        place = tmp_path / str(len(opened))
        place.mkdir()
        opened.append(session_stores.KINDS[request.param](place))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


@pytest.fixture
async def batches(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Batches]:
    opened = batch_stores.KINDS[request.param](tmp_path)
    yield opened.batches
    await opened.close()


@pytest.fixture
def kept_shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    session_stores.KINDS[request.param](tmp_path)
    return request.param, tmp_path


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """What a test's own keys begin with, in the Redis that all tests share."""
    return f"test:{tmp_path.name}:{tmp_path.stat().st_ino}"


@pytest.fixture
async def connection(prefix: str) -> AsyncIterator[Connection]:
    """A connection to Redis for the test's own keys."""
    opened = Connection(shared_server(), prefix)
    yield opened
    await opened.aclose()


@pytest.fixture
def inside() -> Iterator[Any]:
    """A look into the Redis that all tests share; redis-py's types leave open what a command gives."""
    with Redis.from_url(shared_server()) as client:
        yield client
