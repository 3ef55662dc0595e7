"""Knows how the file of the stores fails: with the server's own words, and without keeping what is broken open."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
from pathlib import Path

import pytest

from pinnace.core.adapters.sqlite.database import Database
from pinnace.core.errors import StoreFailed


async def test_a_file_of_a_newer_release_is_left_alone_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "pinnace.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    database = Database(file)
    for _ in range(2):
        with pytest.raises(StoreFailed, match="newer release"):
            await database.read(lambda opened: opened.execute("SELECT 1").fetchone())
    await database.aclose()
    gc.collect()


async def test_a_place_that_cannot_be_written_tells_no_path(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    database = Database(tmp_path / "occupied" / "pinnace.sqlite3")
    with pytest.raises(StoreFailed) as caught:
        await database.read(lambda opened: opened.execute("SELECT 1").fetchone())
    assert str(tmp_path) not in str(caught.value)
    await database.aclose()


def test_the_file_and_those_beside_it_are_for_the_servers_user_alone(tmp_path: Path) -> None:
    async def work() -> set[int]:
        database = Database(tmp_path / "pinnace.sqlite3")
        await database.write(lambda opened: opened.execute("CREATE TABLE words (word TEXT)").fetchall())
        modes = {file.name: file.stat().st_mode & 0o777 for file in os.scandir(tmp_path)}
        await database.aclose()
        assert len(modes) == 3
        return set(modes.values())

    assert asyncio.run(work()) == {0o600}
