"""Knows that sweeping the access log removes old days of it, and nothing else that lies there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from access_logs import DAY, NOON, record
from clocks import HandClock

from pinnace.core.adapters.duckdb.files import files_of, sweep
from pinnace.core.adapters.duckdb.writer import Writer


def day(place: Path, name: str, *files: str) -> Path:
    made = place / name
    made.mkdir()
    for file in files:
        (made / file).write_text("{}\n", encoding="utf-8")
    return made


def names(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))


def test_as_many_days_as_asked_for_are_kept_before_today(tmp_path: Path) -> None:
    for name in ("2026-12-15", "2026-12-16", "2027-01-14", DAY, "2027-01-16"):
        day(tmp_path, name, "a.jsonl")
    sweep(tmp_path, DAY, 30)
    assert [name for name in names(tmp_path) if "/" not in name] == ["2026-12-16", "2027-01-14", DAY, "2027-01-16"]
    sweep(tmp_path, DAY, 1)
    assert [name for name in names(tmp_path) if "/" not in name] == ["2027-01-14", DAY, "2027-01-16"]


def test_what_is_not_named_as_a_day_is_stays(tmp_path: Path) -> None:
    strange = ["20200101", "2020-01", "2020-1-1", "2020-W01-1", "2020-02-30", "old", "2020-01-01.bak", "..2020-01-01"]
    for name in strange:
        day(tmp_path, name, "a.jsonl")
    (tmp_path / "2020-01-02").write_text("a file", encoding="utf-8")
    before = names(tmp_path)
    sweep(tmp_path, DAY, 1)
    assert names(tmp_path) == before


def test_what_is_no_file_of_the_log_stays_and_its_directory_with_it(tmp_path: Path) -> None:
    old = day(tmp_path, "2020-01-01", "a.jsonl", "b.jsonl", "notes.txt")
    (old / "deep.jsonl").mkdir()
    (old / "deep.jsonl" / "c.jsonl").write_text("{}\n", encoding="utf-8")
    sweep(tmp_path, DAY, 1)
    assert names(old) == ["deep.jsonl", "deep.jsonl/c.jsonl", "notes.txt"]


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "access", day(tmp_path, "elsewhere", "precious.jsonl")
    place.mkdir()
    (place / "2020-01-01").symlink_to(elsewhere)
    old = day(place, "2020-01-02")
    (old / "link.jsonl").symlink_to(elsewhere / "precious.jsonl")
    sweep(place, DAY, 1)
    assert names(elsewhere) == ["precious.jsonl"]
    assert names(place) == ["2020-01-01"]
    assert (place / "2020-01-01").is_symlink()


def test_a_link_is_not_read_either(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "access", day(tmp_path, "elsewhere", "other.jsonl")
    place.mkdir()
    (place / DAY).symlink_to(elsewhere)
    today = day(place, "2027-01-16", "a.jsonl", "a.txt")
    (today / "b.jsonl").symlink_to(elsewhere / "other.jsonl")
    assert files_of(place, "0001-01-01", "9999-12-31") == [str(today / "a.jsonl")]


def test_another_days_directory_is_not_looked_into(tmp_path: Path) -> None:
    day(tmp_path, "2027-01-14", "a.jsonl")
    day(tmp_path, DAY, "b.jsonl")
    day(tmp_path, "2027-01-16", "c.jsonl")
    # Root may look into it all the same; anybody else would be told.
    (tmp_path / "2027-01-14").chmod(0)
    try:
        assert files_of(tmp_path, DAY, DAY) == [str(tmp_path / DAY / "b.jsonl")]
    finally:
        (tmp_path / "2027-01-14").chmod(0o700)


def test_there_may_be_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere", DAY, 1)
    assert files_of(tmp_path / "nowhere", DAY, DAY) == []


def test_what_cannot_be_swept_is_logged_and_writing_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A file in the place of the directory can be listed as little as one that is somebody else's.
    place = tmp_path / "access"
    place.write_text("", encoding="utf-8")
    writer = Writer(place, HandClock(NOON), days=1)
    writer.sweep()
    writer.add(record())
    writer.close()
    told = [found.getMessage() for found in caplog.records if found.levelno == logging.ERROR]
    assert "old days of the access log could not be removed" in told
    assert writer.lost == 1
