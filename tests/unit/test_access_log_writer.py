"""Knows how lines of the access log are written where things go wrong: a full disk, a lost file, midnight, too much to do."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from access_logs import DAY, NOON, record
from clocks import HandClock

from pinnace.core.adapters.duckdb.files import create
from pinnace.core.adapters.duckdb.lines import COLUMNS, line_of
from pinnace.core.adapters.duckdb.writer import BATCH, COMPLAINTS, DELAY, Writer

HOURS = 3600.0


@contextmanager
def writing(
    place: Path, clock: HandClock | None = None, opener: Callable[[Path], int] = create, days: int = 30
) -> Iterator[Writer]:
    writer = Writer(place, clock or HandClock(NOON), days, opener)
    try:
        yield writer
    finally:
        writer.close()


def lines(place: Path) -> dict[str, list[dict[str, Any]]]:
    """What each day's files hold; every line must be whole."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(place.rglob("*.jsonl")):
        text = file.read_text(encoding="utf-8")
        assert text == "" or text.endswith("\n")
        found.setdefault(file.parent.name, []).extend(json.loads(line) for line in text.splitlines())
    return found


def complaints(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (found.__dict__["lines"], found.__dict__["reason"])
        for found in caplog.records
        if found.name == "pinnace.access_log" and "lines" in found.__dict__
    ]


needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux's")


def full(_path: Path) -> int:
    return os.open("/dev/full", os.O_WRONLY)


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Let no file of this process grow past a size: a disk that is full in the middle of a line."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_line_has_the_columns_in_their_order() -> None:
    line = line_of(record(cost_microusd=450, cache="hit"))
    assert list(json.loads(line)) == list(COLUMNS)
    assert line.startswith(b'{"ts":"2027-01-15T12:00:00.000Z",')
    assert b'"cost_usd":0.000450,' in line
    assert line.endswith(b"}\n")


def test_what_is_not_known_is_null() -> None:
    unknown = (
        "project_id",
        "key_id",
        "error",
        "model",
        "profile",
        "tokens",
        "cost_microusd",
        "first_delta_ms",
        "cache",
    )
    written = json.loads(line_of(record(**dict.fromkeys(unknown))))
    assert {name for name, value in written.items() if value is None} == {
        *(set(unknown) - {"tokens", "cost_microusd"}),
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cost_usd",
    }


def test_nothing_is_written_before_there_is_something_to_write(tmp_path: Path) -> None:
    with writing(tmp_path / "access") as writer:
        writer.flush()
    assert list(tmp_path.iterdir()) == []


def test_only_the_servers_user_may_read_it(tmp_path: Path) -> None:
    with writing(tmp_path / "access") as writer:
        writer.add(record())
    (file,) = tmp_path.rglob("*.jsonl")
    modes = [path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize(("count", "delay", "least"), [(1, 0.3, 0.2), (BATCH, 60.0, 0.0)])
def test_records_are_written_after_a_while_or_when_there_are_many(
    tmp_path: Path, count: int, delay: float, least: float
) -> None:
    writer = Writer(tmp_path, HandClock(NOON), 30, delay=delay)
    began = time.monotonic()
    for _ in range(count):
        writer.add(record())
    while sum(file.read_bytes().count(b"\n") for file in tmp_path.rglob("*.jsonl")) < count:
        assert time.monotonic() - began < 10
        time.sleep(0.01)
    assert time.monotonic() - began >= least
    assert DELAY == 1.0
    writer.close()


def test_a_record_lies_under_its_own_day_also_at_midnight(tmp_path: Path) -> None:
    clock = HandClock(NOON + 12 * HOURS)
    with writing(tmp_path, clock) as writer:
        for at in (clock.time - 0.001, clock.time - 0.0004, clock.time, clock.time + 1):
            writer.add(record(at=at))
        writer.flush()
        writer.add(record(at=clock.time + 24 * HOURS))
    assert {day: [line["ts"][11:] for line in found] for day, found in lines(tmp_path).items()} == {
        DAY: ["23:59:59.999Z", "23:59:59.999Z"],
        "2027-01-16": ["00:00:00.000Z", "00:00:01.000Z"],
        "2027-01-17": ["00:00:00.000Z"],
    }
    assert len(list(tmp_path.rglob("*.jsonl"))) == 3


@needs_full_disk
def test_a_full_disk_loses_lines_and_says_so_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock(NOON)
    with writing(tmp_path, clock, full) as writer:
        for seconds in (0, 1, COMPLAINTS - 1, COMPLAINTS, COMPLAINTS + 1):
            clock.time = NOON + seconds
            writer.add(record())
            writer.flush()
        assert writer.lost == 5
        clock.time = NOON + 3 * COMPLAINTS
        writer.flush()
    said = "No space left on device"
    assert complaints(caplog) == [(1, said), (3, said), (1, said)]


def test_a_line_that_was_cut_is_taken_off_and_the_next_one_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(line_of(record()))
    with writing(tmp_path) as writer:
        writer.add(record())
        writer.flush()
        with limited(3 * size + size // 2):
            for _ in range(4):
                writer.add(record())
            writer.flush()
        assert writer.lost == 2
        writer.add(record())
    # The one from before, two of the four, the one from after: in one file, each of them whole.
    assert {day: len(found) for day, found in lines(tmp_path).items()} == {DAY: 4}
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1
    assert complaints(caplog) == [(2, "File too large")]


@needs_full_disk
def test_a_disk_that_has_room_again_is_written_to(tmp_path: Path) -> None:
    openers = [full, full, create]

    def opener(path: Path) -> int:
        return openers.pop(0)(path)

    with writing(tmp_path, opener=opener) as writer:
        for _ in range(3):
            writer.add(record())
            writer.flush()
        assert writer.lost == 2
    assert {day: len(found) for day, found in lines(tmp_path).items()} == {DAY: 1}


def test_a_directory_that_cannot_be_made_loses_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "access").write_text("a file is in the way", encoding="utf-8")
    with writing(tmp_path / "access") as writer:
        writer.add(record())
    assert (writer.lost, complaints(caplog)) == (1, [(1, "File exists")])


def test_a_file_that_was_removed_is_not_written_to_any_more(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        for _ in range(2):
            writer.add(record())
            writer.flush()
            (file,) = tmp_path.rglob("*.jsonl")
            file.unlink()
            file.parent.rmdir()
        writer.add(record())
    assert {day: len(found) for day, found in lines(tmp_path).items()} == {DAY: 1}


def test_a_text_that_is_none_loses_its_own_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with writing(tmp_path) as writer:
        for model in ("claude-x", "half a \ud83d", "claude-y"):
            writer.add(record(model=model))
    assert [line["model"] for line in lines(tmp_path)[DAY]] == ["claude-x", "claude-y"]
    assert complaints(caplog) == [(1, "a text that is no text")]


def test_a_disk_that_hangs_fills_no_memory(tmp_path: Path) -> None:
    opened, go_on = threading.Event(), threading.Event()

    def hanging(path: Path) -> int:
        opened.set()
        assert go_on.wait(10)
        return create(path)

    writer = Writer(tmp_path, HandClock(NOON), 30, hanging, most=10)
    writer.add(record())
    flushing = threading.Thread(target=writer.flush)
    flushing.start()
    assert opened.wait(10)
    began = time.monotonic()
    for _ in range(25):
        writer.add(record())
    assert time.monotonic() - began < 1
    assert writer.lost == 15
    go_on.set()
    flushing.join()
    writer.close()
    assert len(lines(tmp_path)[DAY]) == 11


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:

        def work() -> None:
            for _ in range(500):
                writer.add(record())
            writer.flush()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = [line["request_id"] for line in lines(tmp_path)[DAY]]
    assert len(written) == len(set(written)) == 4000


def test_days_are_swept_when_writing_begins_and_when_a_day_has_passed(tmp_path: Path) -> None:
    for day in ("2026-12-15", "2026-12-16", "2026-12-17"):
        (tmp_path / day).mkdir()
    clock = HandClock(NOON)
    with writing(tmp_path, clock) as writer:
        writer.add(record())
        while (tmp_path / "2026-12-15").exists():
            time.sleep(0.01)
        writer.flush()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-12-16", "2026-12-17", DAY]
        clock.time += 24 * HOURS
        writer.sweep()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-12-17", DAY]
