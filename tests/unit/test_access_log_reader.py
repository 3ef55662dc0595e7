"""Knows that a query of the access log sees the log alone, changes nothing, and that DuckDB is needed for no more than asking."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from access_logs import DAY, NOON, record
from clocks import HandClock

from pinnace.core.adapters.duckdb.access_log import DuckAccessLog
from pinnace.core.adapters.duckdb.files import SUFFIX
from pinnace.core.adapters.duckdb.lines import COLUMNS
from pinnace.core.adapters.duckdb.reader import query
from pinnace.core.adapters.duckdb.writer import Writer
from pinnace.core.errors import InvalidRequest

WITHOUT_DUCKDB = """
import asyncio, sys
sys.modules["duckdb"] = None
from pathlib import Path
from access_logs import DAY, in_files, record
from pinnace.core.adapters.duckdb.reader import query
from pinnace.core.errors import PartMissing

async def main():
    log = in_files(Path(sys.argv[1]))
    log.add(record())
    try:
        await log.stats(None, DAY, DAY)
    except PartMissing as error:
        print(error.message)
    await log.aclose()
    assert log.lost == 0
    try:
        query(Path(sys.argv[1]), "SELECT 1")
    except PartMissing as error:
        print(error.message)

asyncio.run(main())
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory of a log of three requests."""
    found = tmp_path / "access"
    writer = Writer(found, HandClock(NOON), days=30)
    for cost in (450, 1, None):
        writer.add(record(cost_microusd=cost, stream=cost == 1))
    writer.close()
    return found


def test_a_query_has_the_columns_with_their_types(place: Path) -> None:
    found = query(place, "DESCRIBE access_log")
    assert [(row[0], row[1]) for row in found.rows] == list(COLUMNS.items())


def test_a_query_gives_values_as_they_are(place: Path) -> None:
    found = query(place, "SELECT cost_usd, stream, strftime(ts, '%H:%M') AS at FROM access_log ORDER BY cost_usd DESC")
    assert found.columns == ["cost_usd", "stream", "at"]
    assert found.rows == [
        (Decimal("0.000450"), False, "12:00"),
        (Decimal("0.000001"), True, "12:00"),
        (None, False, "12:00"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "FROM access_log SELECT count(*) AS n;",
        "WITH all_of_it AS (FROM access_log) SELECT count(*) AS n FROM all_of_it -- and no more",
        "-- first a word\nSELECT n FROM (SELECT count(*) AS n FROM access_log) ORDER BY n",
        "SELECT count(*) AS n FROM access_log UNION SELECT 3 AS n",
    ],
)
def test_a_select_may_have_any_form(place: Path, statement: str) -> None:
    found = query(place, statement)
    assert (found.columns, found.rows) == (["n"], [(3,)])


def test_an_empty_log_has_the_columns_all_the_same(tmp_path: Path) -> None:
    assert query(tmp_path / "nowhere", "SELECT count(*), sum(cost_usd) FROM access_log").rows == [(0, None)]
    found = query(tmp_path / "nowhere", "DESCRIBE access_log")
    assert [(row[0], row[1]) for row in found.rows] == list(COLUMNS.items())


@pytest.mark.parametrize("name", ["it's", "we[ir]d*", "a=b", "sp ace", "{a,b}", "$project"])
async def test_a_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    log = DuckAccessLog(tmp_path / name, HandClock(NOON), days=30)
    log.add(record())
    assert (await log.stats(None, DAY, DAY)).requests == 1
    await log.aclose()
    found = query(tmp_path / name, "SELECT * FROM access_log")
    assert (found.columns, len(found.rows)) == (list(COLUMNS), 1)


def test_a_relative_directory_is_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    assert query(Path("access"), "SELECT count(*) FROM access_log").rows == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{elsewhere}/*')",
        "SELECT * FROM read_csv('{elsewhere}/access/../secret.txt')",
        "SELECT * FROM read_json('https://example.com/x.json')",
        "COPY (SELECT 1) TO '{place}/new.jsonl'",
        "COPY access_log TO '{elsewhere}/copy.csv'",
        "ATTACH '{place}/new.db'",
        "EXPORT DATABASE '{place}/all'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "DROP VIEW access_log",
        "CREATE TABLE more AS SELECT * FROM access_log",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{place}/new.jsonl'",
        "SELECT 1; COPY (SELECT 1) TO '{place}/new.jsonl'",
        "WITH written AS (COPY (SELECT 1) TO '{place}/new.jsonl') SELECT 1",
        "WITH written AS (COPY (SELECT 1) TO '{place}/new.jsonl') SELECT * FROM written;",
        "SELECT * FROM (WITH written AS (COPY (SELECT 1) TO '{place}/new.jsonl') SELECT * FROM written)",
        "SELECT 1) AS a, (WITH written AS (COPY (SELECT 1) TO '{place}/new.jsonl') SELECT 1",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{place}/new.jsonl''')",
        "PRAGMA enable_profiling",
        "",
        "SELECT no_such_column FROM access_log",
        "no SQL at all",
    ],
)
def test_nothing_but_the_log_is_read_and_nothing_is_written(place: Path, statement: str) -> None:
    secret = place.parent / "secret.txt"
    secret.write_text("ahoy", encoding="utf-8")
    before = sorted(place.parent.rglob("*"))
    with pytest.raises(InvalidRequest) as refused:
        query(place, statement.format(place=place, secret=secret, elsewhere=place.parent))
    assert "ahoy" not in refused.value.message
    assert sorted(place.parent.rglob("*")) == before


def test_writing_needs_no_duckdb_and_asking_says_how_to_get_it(tmp_path: Path) -> None:
    support = str(Path(__file__).parents[1] / "support")
    code = f"import sys\nsys.path.insert(0, {support!r})\n{WITHOUT_DUCKDB}"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert (
        done.stdout.splitlines()
        == ["The access log is asked with DuckDB: pip install 'pinnace[analytics]' brings it."] * 2
    )
    (file,) = tmp_path.rglob(f"*{SUFFIX}")
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1


def test_duckdb_is_loaded_by_the_first_question_and_not_before() -> None:
    support = str(Path(__file__).parents[1] / "support")
    code = f"import sys\nsys.path.insert(0, {support!r})\nimport access_logs\nprint('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
