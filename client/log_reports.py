"""Knows how the log of requests looks in a terminal; it must not know where it comes from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pinnace.core.model.access_log import LogRows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def stats_report(stats: Mapping[str, Any]) -> None:
    """Three tables: by model, by hour and by path."""
    out = _console()
    errors = f"{stats['errors']:,} errors ({stats['error_rate']:.1%})"
    whose = stats["project_id"] or "all projects"
    out.print(f"{whose}, {stats['from']} to {stats['to']}: {stats['requests']:,} requests, {errors}")
    for rows in (_models(stats["by_model"]), _hours(stats["by_hour"]), _paths(stats["by_path"])):
        if rows.row_count:
            out.print()
            out.print(rows)


def _models(models: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("model", "requests", "input", "output", "cost", "average ms", "p50", "p95")
    for model in models:
        counted = (f"{model[name]:,}" for name in ("requests", "input_tokens", "output_tokens"))
        taken = (f"{model[name]:,.1f}" for name in ("avg_duration_ms", "p50_ms", "p95_ms"))
        table.add_row(model["model"], *counted, f"${model['cost_usd']:.6f}", *taken)
    return table


def _hours(hours: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("hour (UTC)", "requests", "errors", "rate")
    for hour in hours:
        name = hour["hour"][:16].replace("T", " ")
        table.add_row(name, f"{hour['requests']:,}", f"{hour['errors']:,}", f"{hour['error_rate']:.1%}")
    return table


def _paths(paths: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("path", "requests", "p50 ms", "p95", "p99", "longest")
    for path in paths:
        taken = (f"{path[name]:,.1f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        table.add_row(path["path"], f"{path['requests']:,}", *taken)
    return table


def rows_table(found: LogRows) -> None:
    """A table of whatever was asked for; numbers stand to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(found.columns):
        number = any(isinstance(row[place], int | float | Decimal) for row in found.rows)
        table.add_column(Text(name), justify="right" if number else "left")
    for row in found.rows:
        # As plain text: brackets in a value are no markup.
        table.add_row(*(Text(_shown(value)) for value in row))
    _console().print(table)


def rows_csv(found: LogRows) -> str:
    """A line of names and a line for each row; what is null is empty."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(found.columns)
    lines.writerows([_cell(value) for value in row] for row in found.rows)
    return written.getvalue()


def rows_json(found: LogRows) -> str:
    """An object for each row; moments are texts, decimals are numbers."""
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    return json.dumps(rows, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def _cell(value: object) -> str:
    """A value in CSV; a caller's text, such as a user agent, must be no formula to a spreadsheet."""
    quoted = isinstance(value, str) and value.startswith(("=", "+", "-", "@"))
    return f"'{value}" if quoted else _shown(value)


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _table(first: str, *numbers: str) -> Table:
    from rich.table import Table

    table = Table(first, box=None, pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)
