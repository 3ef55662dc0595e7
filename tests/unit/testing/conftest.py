"""Knows the scripted upstream that the tests of a file share, with nothing recorded of the test before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pinnace.testing.upstream import Upstream


@pytest.fixture(scope="module")
def running() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(running: Upstream) -> Upstream:
    running.forget()
    return running
