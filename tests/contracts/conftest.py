"""Knows that every store of a port is put through the same tests, the one in memory first; the file's name says which port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import session_stores
from session_stores import SessionStores
from stores import KINDS, SHARED, Stores, keepers

#: Stores that are a server of their own, an emulator's or a real one: `make test-stores` runs their tests.
SERVED = ("dynamodb", "redis", "s3")


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
def kept_shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    session_stores.KINDS[request.param](tmp_path)
    return request.param, tmp_path
