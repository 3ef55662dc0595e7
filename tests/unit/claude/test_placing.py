"""Knows that files come into an agent's directory, and that no link of the agent's leads them anywhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pinnace.core.adapters.claude.placing import place
from pinnace.core.errors import InvalidRequest, StoreFailed


async def words() -> AsyncGenerator[bytes, None]:
    for piece in (b"seven ", b"barrels"):
        yield piece


async def broken() -> AsyncGenerator[bytes, None]:
    yield b"seven "
    raise StoreFailed("gone")


async def test_a_file_is_put_at_its_path_and_one_that_is_there_stays(tmp_path: Path) -> None:
    for _ in range(2):
        await place(tmp_path, {"uploads/a/x.txt": words, "uploads/b/x.txt": words})
    assert (tmp_path / "uploads" / "a" / "x.txt").read_text() == "seven barrels"
    (tmp_path / "uploads" / "b" / "x.txt").write_text("the agent's own")
    await place(tmp_path, {"uploads/b/x.txt": words})
    assert (tmp_path / "uploads" / "b" / "x.txt").read_text() == "the agent's own"


@pytest.mark.parametrize("link", ["uploads", "uploads/a"])
async def test_a_link_in_the_way_is_not_followed(tmp_path: Path, link: str) -> None:
    outside, work = tmp_path / "outside", tmp_path / "work"
    (outside / "a").mkdir(parents=True)
    (work / link).parent.mkdir(parents=True)
    (work / link).symlink_to(outside)
    with pytest.raises(InvalidRequest):
        await place(work, {"uploads/a/x.txt": words})
    assert [path.name for path in outside.rglob("*")] == ["a"]


async def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "uploads" / "a").mkdir(parents=True)
    (tmp_path / "uploads" / "a" / "x.txt").symlink_to(target)
    await place(tmp_path, {"uploads/a/x.txt": words})
    assert not target.exists()


async def test_a_file_that_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        await place(tmp_path, {"uploads/a/x.txt": broken})
    assert list((tmp_path / "uploads" / "a").iterdir()) == []
