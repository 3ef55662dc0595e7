"""Knows that what docs/logs.md says of the access log holds: each query and each answer, over a log whose content is known."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from access_logs import in_files
from click.testing import CliRunner
from known_log import LAST, write_known_log

from pinnace.client.command import main
from pinnace.core.adapters.duckdb.lines import COLUMNS
from pinnace.core.wire.admin.log_views import stats_view

PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text(encoding="utf-8")
SQL = re.findall(r"^```sql\n(.*?)^```$(?:\s*```text output\n(.*?)^```$)?", PAGE, re.MULTILINE | re.DOTALL)
QUERIES = [(statement, output) for statement, output in SQL if not statement.startswith("CREATE VIEW")]
VIEWS = [statement for statement, _ in SQL if statement.startswith("CREATE VIEW")]
#: What DuckDB's own program does with the statements that it is given.
PROGRAM = """
import json, sys, duckdb
view, *queries = json.load(sys.stdin)
duckdb.execute(view)
print(json.dumps([duckdb.execute(query).fetchall() for query in queries], default=str))
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("known")
    write_known_log(made)
    return made


def _sql(data_dir: Path, statement: str, *options: str) -> str:
    result = CliRunner().invoke(main, ["logs", "sql", statement, *options], env={"PINNACE_DATA_DIR": str(data_dir)})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(("statement", "output"), QUERIES, ids=[statement.split("\n")[0] for statement, _ in QUERIES])
def test_a_query_gives_what_the_page_says(data_dir: Path, statement: str, output: str) -> None:
    printed = _sql(data_dir, statement)
    assert [line.rstrip() for line in printed.splitlines()] == output.splitlines()
    assert len(output.splitlines()) > 1


def test_the_view_for_duckdbs_own_program_is_the_same_one(data_dir: Path) -> None:
    (view,) = VIEWS
    questions = ["SELECT * FROM access_log ORDER BY ts", "DESCRIBE access_log", *(query for query, _ in QUERIES)]
    given = json.dumps([view, *questions])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=data_dir, input=given, check=True, capture_output=True, text=True
    )
    everything, columns, *answers = json.loads(done.stdout)
    assert [(name, kind) for name, kind, *_ in columns] == list(COLUMNS.items())
    ours = json.loads(_sql(data_dir, questions[0], "--json"))
    assert [[row["request_id"], row["ts"]] for row in ours] == [[row[1], row[0]] for row in everything]
    assert [len(answer) for answer in answers] == [len(output.splitlines()) - 1 for _, output in QUERIES]


def test_every_column_is_told_with_its_type() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([A-Z]+(?:\(\d+,\d+\))?) \|", PAGE, re.MULTILINE)
    assert [(name, kind) for names, kind in rows for name in re.findall(r"\w+", names)] == list(COLUMNS.items())


def test_the_answer_on_the_page_is_one(data_dir: Path) -> None:
    (shown,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    stats = asyncio.run(in_files(data_dir / "access").stats("prj_harbour", LAST, LAST))
    assert shown == stats_view("prj_harbour", "custom", (LAST, LAST), stats)
