"""Knows how statistics and rows of the access log look in a terminal, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from access_logs import NOON, record
from click.testing import CliRunner
from clocks import HandClock

from pinnace.client import log_reports
from pinnace.client.command import main
from pinnace.core.adapters.duckdb.writer import Writer
from pinnace.core.model.access_log import LogRows

ROWS = LogRows(
    ["at", "agent", "cost", "n"],
    [
        (datetime(2026, 11, 21, 10), "=cmd|' /C calc'!A0", Decimal("0.000450"), -1),  # noqa: DTZ001 - as DuckDB gives it
        (None, "[bold]a, b", None, 20),
    ],
)
STATS: dict[str, Any] = {
    "project_id": None,
    "from": "2026-11-01",
    "to": "2026-11-21",
    "requests": 1200,
    "errors": 3,
    "error_rate": 0.0025,
    "by_model": [
        {
            "model": "claude-x",
            "requests": 1100,
            "input_tokens": 12345,
            "output_tokens": 6,
            "cost_usd": 0.5,
            "avg_duration_ms": 20.55,
            "p50_ms": 10.0,
            "p95_ms": 1234.5,
        }
    ],
    "by_hour": [{"hour": "2026-11-21T10:00:00Z", "requests": 1200, "errors": 3, "error_rate": 0.0025}],
    "by_path": [],
}


def test_statistics_are_tables(capsys: pytest.CaptureFixture[str]) -> None:
    log_reports.stats_report(STATS)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["all", "projects,", "2026-11-01", "to", "2026-11-21:", "1,200", "requests,", "3", "errors", "(0.2%)"],
        [],
        ["model", "requests", "input", "output", "cost", "average", "ms", "p50", "p95"],
        ["claude-x", "1,100", "12,345", "6", "$0.500000", "20.6", "10.0", "1,234.5"],
        [],
        ["hour", "(UTC)", "requests", "errors", "rate"],
        ["2026-11-21", "10:00", "1,200", "3", "0.2%"],
    ]


def test_rows_are_a_table_in_which_numbers_stand_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    log_reports.rows_table(ROWS)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "at                   agent                   cost   n",
        "2026-11-21 10:00:00  =cmd|' /C calc'!A0  0.000450  -1",
        "                     [bold]a, b                    20",
    ]


def test_rows_are_csv_in_which_a_callers_text_is_no_formula() -> None:
    assert list(csv.reader(io.StringIO(log_reports.rows_csv(ROWS)))) == [
        ["at", "agent", "cost", "n"],
        ["2026-11-21 10:00:00", "'=cmd|' /C calc'!A0", "0.000450", "-1"],
        ["", "[bold]a, b", "", "20"],
    ]


def test_rows_are_json() -> None:
    assert json.loads(log_reports.rows_json(ROWS)) == [
        {"at": "2026-11-21 10:00:00", "agent": "=cmd|' /C calc'!A0", "cost": 0.00045, "n": -1},
        {"at": None, "agent": "[bold]a, b", "cost": None, "n": 20},
    ]


def sql(place: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["logs", "sql", *arguments], env={"PINNACE_DATA_DIR": str(place)})
    return result.exit_code, result.output


def test_sql_runs_over_the_log_of_this_machine(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "access", HandClock(NOON), days=30)
    writer.add(record())
    writer.close()
    assert sql(tmp_path, "SELECT count(*) AS n FROM access_log", "--csv") == (0, "n\n1\n")


def test_sql_runs_where_nothing_was_logged_yet(tmp_path: Path) -> None:
    assert sql(tmp_path / "none", "SELECT * FROM access_log LIMIT 1", "--json") == (0, "[]\n")


def test_sql_that_is_wrong_is_said_so(tmp_path: Path) -> None:
    status, said = sql(tmp_path, "SELECT modle FROM access_log")
    assert status == 1
    assert said.startswith('Error: Binder Error: Referenced column "modle" not found')
    assert sql(tmp_path, "DROP VIEW access_log") == (
        1,
        "Error: Only one SELECT is run: the log can be read and not changed.\n",
    )
