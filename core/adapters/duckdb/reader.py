"""Knows how DuckDB reads the files of the log: the view `access_log`, and what a query may not do; it must not know who writes.

The view is one `SELECT` from `read_json` with the types written out, so that nothing is guessed from the lines that happen to be
there. A line that is torn, or is no line of this log, is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pinnace.core.adapters.duckdb.files import files_of
from pinnace.core.adapters.duckdb.lines import COLUMNS
from pinnace.core.errors import InvalidRequest, PartMissing
from pinnace.core.model.access_log import LogRows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Bounds of one query, so that a question does not take the machine from those who call models.
MEMORY = "1GB"
THREADS = 2


@contextlib.contextmanager
def view(files: Sequence[str]) -> Iterator[DuckDBPyConnection]:
    """Open a database in memory whose view `access_log` is these files.

    Raises:
        PartMissing: DuckDB is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415 - an optional part, and 100 ms
    except ImportError as error:
        raise PartMissing("The access log is asked with DuckDB: pip install 'pinnace[analytics]' brings it.") from error

    # No extension is fetched, and nothing is spilled into the directory that the server happens to run in.
    bounds: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": MEMORY,
        "temp_directory": "",
        "threads": THREADS,
    }
    with duckdb.connect(":memory:", config=bounds) as connection:
        connection.execute(definition(files))
        yield connection


def definition(files: Sequence[str]) -> str:
    """The SQL that makes the view; without a file it has no rows."""
    if not files:
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
        return f"CREATE VIEW access_log AS SELECT {columns} WHERE false"
    names = ", ".join(_quoted(file) for file in files)
    columns = ", ".join(f"{name}: {_quoted(kind)}" for name, kind in COLUMNS.items())
    # A directory named `a=b` on the way would be one more column.
    return (
        f"CREATE VIEW access_log AS SELECT * FROM read_json([{names}], format = 'newline_delimited', "  # noqa: S608 - names of the server's own files
        f"ignore_errors = true, hive_partitioning = false, columns = {{{columns}}}) WHERE ts IS NOT NULL"
    )


def query(directory: Path, statement: str) -> LogRows:
    """Run one `SELECT` over the whole log.

    Nothing but the log can be read, and nothing written: the file system is closed but for the log's directory, and since DuckDB
    would write there as well, only what selects is run.

    Raises:
        InvalidRequest: it is none, or DuckDB refuses it.
        PartMissing: DuckDB is not installed.
    """
    place = directory.absolute()
    with view(files_of(place, "", "9999-12-31")) as connection:
        import duckdb  # noqa: PLC0415 - it is there by now

        connection.execute(f"SET allowed_directories = [{_quoted(str(place))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(statement)
            if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
                raise InvalidRequest("Only one SELECT is run: the log can be read and not changed.")
            # `WITH x AS (COPY … TO …) SELECT` is a SELECT too, and refused by DuckDB where it is not at the top.
            connection.execute(f"EXPLAIN SELECT * FROM (\n{statements[0].query.rstrip('; ')}\n)")  # noqa: S608 - the asker's own
            done = connection.execute(statements[0])
            return LogRows([column[0] for column in done.description], done.fetchall())
        except duckdb.Error as error:
            raise InvalidRequest(str(error).strip()) from error


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
