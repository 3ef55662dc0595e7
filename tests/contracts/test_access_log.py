"""Knows what a log of requests promises: what was added is counted, exactly, once, and for its project and its days alone."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import access_logs
import pytest
from access_logs import DAY, KINDS, NOON, SHARED, TOKENS, record

from pinnace.core.model.access_log import AccessStats, HourStats, ModelStats, PathStats
from pinnace.core.ports import AccessLog

HOUR = 3600.0
NEXT = "2027-01-16"
MIDNIGHT = NOON + 12 * HOUR


@pytest.fixture(params=list(KINDS))
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccessLog]:
    opened = KINDS[request.param](tmp_path)
    yield opened
    await opened.aclose()


@pytest.fixture(params=SHARED)
def spread(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    return request.param, tmp_path


async def test_requests_are_counted_by_model_hour_and_path(log: AccessLog) -> None:
    log.add(record(duration_ms=10.0))
    log.add(record(duration_ms=40.0, at=NOON + HOUR, model="claude-y", path="/v1/batch"))
    log.add(record(duration_ms=20.0, error="overloaded_error", status=529, tokens={}, cost_microusd=None))
    log.add(record(duration_ms=30.0, at=NOON + HOUR - 0.001))
    assert await log.stats("prj_1", DAY, DAY) == AccessStats(
        by_model=[
            ModelStats("claude-x", 3, 20, 40, 900, 20.0, 20.0, 30.0),
            ModelStats("claude-y", 1, 10, 20, 450, 40.0, 40.0, 40.0),
        ],
        by_hour=[HourStats("2027-01-15T12:00:00Z", 3, 1), HourStats("2027-01-15T13:00:00Z", 1, 0)],
        by_path=[
            PathStats("/v1/messages", 3, 20.0, 30.0, 30.0, 30.0),
            PathStats("/v1/batch", 1, 40.0, 40.0, 40.0, 40.0),
        ],
    )


async def test_a_request_without_a_model_is_counted_and_is_no_models(log: AccessLog) -> None:
    log.add(record(path="/health", model=None, tokens=None, cost_microusd=None, project_id=None, key_id=None))
    stats = await log.stats(None, DAY, DAY)
    assert (stats.requests, stats.errors, stats.by_model) == (1, 0, [])
    assert [path.path for path in stats.by_path] == ["/health"]


async def test_an_empty_log_has_no_requests(log: AccessLog) -> None:
    assert await log.stats(None, "0001-01-01", NEXT) == AccessStats([], [], [])


async def test_another_projects_requests_are_not_seen(log: AccessLog) -> None:
    log.add(record(project_id="prj_1"))
    log.add(record(project_id="prj_2", error="api_error"))
    log.add(record(project_id=None))
    for project_id, seen in (("prj_1", (1, 0)), ("prj_2", (1, 1)), ("prj_3", (0, 0)), (None, (3, 1))):
        stats = await log.stats(project_id, DAY, DAY)
        assert (stats.requests, stats.errors) == seen


async def test_a_project_id_is_a_value_and_no_sql(log: AccessLog) -> None:
    log.add(record())
    assert (await log.stats("prj_1' OR '1'='1", DAY, DAY)).requests == 0


@pytest.mark.parametrize(
    ("first", "last", "seen"),
    [
        (DAY, DAY, 1),
        (NEXT, NEXT, 1),
        (DAY, NEXT, 2),
        (NEXT, DAY, 0),
        ("2027-01-01", "2027-01-31", 2),
        ("2027-02-01", "2027-02-31", 0),
    ],
)
async def test_days_are_those_of_utc_and_both_ends_are_included(
    log: AccessLog, first: str, last: str, seen: int
) -> None:
    log.add(record(at=MIDNIGHT - 0.0005))
    log.add(record(at=MIDNIGHT))
    assert (await log.stats("prj_1", first, last)).requests == seen


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 40, 99, 100, 101, 340])
async def test_a_percentile_is_the_nearest_rank(log: AccessLog, count: int) -> None:
    durations = [float(place) for place in range(1, count + 1)]
    for duration in random.Random(count).sample(durations, count):  # noqa: S311 - an order, and no secret
        log.add(record(duration_ms=duration))
    (model,) = (await log.stats("prj_1", DAY, DAY)).by_model
    (path,) = (await log.stats("prj_1", DAY, DAY)).by_path
    half, most, nearly = (float(-(-count * percent // 100)) for percent in (50, 95, 99))
    assert (model.p50_ms, model.p95_ms, model.avg_duration_ms) == (half, most, (count + 1) / 2)
    assert (path.p50_ms, path.p95_ms, path.p99_ms, path.max_ms) == (half, most, nearly, count)


async def test_money_is_added_up_to_the_millionth(log: AccessLog) -> None:
    costs = [1, 10, 99, 450, 290_000, 999_999, 1_000_001, 123_456_789_012]
    for cost in costs:
        log.add(record(cost_microusd=cost))
    (model,) = (await log.stats("prj_1", DAY, DAY)).by_model
    assert model.cost_microusd == sum(costs)


async def test_a_callers_text_comes_back_as_it_was(log: AccessLog) -> None:
    names = [
        'quote " and \\ slash',
        "line\nbreak",
        "claude-\N{SAILBOAT}",
        "nul \0 in it",
        "'; DROP VIEW access_log; --",
    ]
    for name in names:
        log.add(record(model=name, user_agent=name))
    assert sorted(model.model for model in (await log.stats("prj_1", DAY, DAY)).by_model) == sorted(names)


async def test_a_log_that_was_closed_can_be_added_to(log: AccessLog) -> None:
    for count in (1, 2):
        log.add(record())
        assert (await log.stats("prj_1", DAY, DAY)).requests == count
        await log.aclose()
        await log.aclose()
    assert (log.lost, (await log.stats("prj_1", DAY, DAY)).requests) == (0, 2)


def test_several_processes_write_while_one_reads(spread: tuple[str, Path]) -> None:
    kind, place = spread
    command = [sys.executable, str(Path(access_logs.__file__)), kind, str(place), "1500"]
    started = [subprocess.Popen(command) for _ in range(4)]
    counts, stats = asyncio.run(watched(KINDS[kind](place), started))
    assert [process.returncode for process in started] == [0] * 4
    assert counts == sorted(counts)
    assert stats.requests == 6000
    assert stats.by_model[0].input_tokens == 6000 * TOKENS["input_tokens"]


async def watched(log: AccessLog, writers: list[subprocess.Popen[bytes]]) -> tuple[list[int], AccessStats]:
    """What was counted while they wrote, and what is there at last."""
    counts = []
    while any(process.poll() is None for process in writers):
        counts.append((await log.stats("prj_1", DAY, DAY)).requests)
        await asyncio.sleep(0.02)
    stats = await log.stats("prj_1", DAY, DAY)
    await log.aclose()
    return counts, stats


async def test_a_torn_last_line_is_left_out_and_the_others_are_not(spread: tuple[str, Path]) -> None:
    kind, place = spread
    log = KINDS[kind](place)
    for _ in range(3):
        log.add(record())
    await log.aclose()
    (file,) = place.rglob("*.jsonl")
    whole = file.read_bytes()
    line = len(whole) // 3
    for torn in (1, 2, line // 2, line - 1):
        file.write_bytes(whole[:-torn])
        # Without its line feed alone it is a line all the same.
        assert (await log.stats("prj_1", DAY, DAY)).requests == (3 if torn == 1 else 2)
    await log.aclose()
