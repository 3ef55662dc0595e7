"""Knows how DynamoDB Local is started; the tests of the contracts are linked here, and run against it under a mark."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import batch_stores
import pytest
import session_stores
from session_stores import SessionStores
from stores import KINDS, make_dynamodb_table

from pinnace.core.ports import Batches
from pinnace.core.stores.tenancy import Stores

HERE = Path(__file__).parent
JARS = HERE / "target" / "dependency"
OPTIONS = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", "8000"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.dynamodb)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    if not JARS.is_dir():
        pytest.skip("DynamoDB Local is not here; `make test-dynamodb` fetches it")
    # A heap of its own choosing would be a quarter of the machine's memory. It ends when its input does.
    command = [
        "java",
        "-Xmx512m",
        f"-Djava.library.path={JARS}",
        "-cp",
        f"{JARS}/*",
        str(HERE / "Loopback.java"),
        *OPTIONS,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as local:
        assert local.stdout
        port = next(line.split()[-1] for line in local.stdout if line.startswith("listening on "))
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def stores(place: Path) -> AsyncIterator[Stores]:
    opened = KINDS["dynamodb"](place)
    yield opened
    await opened.close()


@pytest.fixture
def shared(place: Path) -> tuple[str, Path]:
    return "dynamodb", place


@pytest.fixture
async def kept(place: Path) -> AsyncIterator[SessionStores]:
    opened = session_stores.KINDS["dynamodb"](place)
    yield opened
    await opened.close()


@pytest.fixture
async def fresh(place: Path, endpoint: str) -> AsyncIterator[Callable[[], SessionStores]]:
    opened = list[SessionStores]()

    def make() -> SessionStores:
        another = place / str(len(opened))
        another.mkdir()
        make_dynamodb_table(another, endpoint)
        opened.append(session_stores.KINDS["dynamodb"](another))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()


@pytest.fixture
async def batches(place: Path) -> AsyncIterator[Batches]:
    opened = batch_stores.KINDS["dynamodb"](place)
    yield opened.batches
    await opened.close()


@pytest.fixture
def kept_shared(place: Path) -> tuple[str, Path]:
    return "dynamodb", place


# For every test, since some open the table of their directory themselves.
@pytest.fixture(autouse=True)
def place(endpoint: str, tmp_path: Path) -> Path:
    make_dynamodb_table(tmp_path, endpoint)
    return tmp_path
