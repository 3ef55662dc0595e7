"""Knows how a file of prompts becomes the requests of a batch: JSON lines, CSV or plain lines; it must not know a server.

A line of JSON is a request of a batch (`{"custom_id": …, "params": …}`), the body of a message (`{"messages": […]}`), or
`{"prompt": "…"}` with more fields of a message beside it. A row of CSV is the same by its columns. A plain line is a prompt.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "lines"}
#: Columns of a CSV file that are numbers.
_NUMBERS = {"max_tokens": int, "temperature": float, "top_p": float, "top_k": int}


def requests_of(path: Path, kind: str | None, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the requests of a file, one after the other.

    Args:
        path: The file.
        kind: `jsonl`, `csv` or `lines`; by default what its name ends with.
        defaults: Fields of a message for requests that do not have them.

    Raises:
        ClickException: it cannot be read; the message names the line.
    """
    chosen = kind or FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise click.ClickException(f"{path.name} ends in none of {', '.join(FORMATS)}; say what it is with --format.")
    reading = {"jsonl": _json_lines, "csv": _rows, "lines": _lines}[chosen]
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="" if chosen == "csv" else None) as file:
            for number, (line, given) in enumerate(reading(file), 1):
                yield _request(given, line, number, defaults)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path.name} is not UTF-8.") from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}.") from error
    if number == 0:
        raise click.ClickException(f"{path.name} holds no prompt.")


def _json_lines(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            given = json.loads(text)
        except ValueError as error:
            raise click.ClickException(f"Line {line} is no JSON: {error}.") from error
        if not isinstance(given, dict):
            raise click.ClickException(f"Line {line} must be an object.")
        yield line, given


def _rows(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.DictReader(file, strict=True)
    if "prompt" not in (rows.fieldnames or ()):
        raise click.ClickException("The first line must name the columns, and one of them must be 'prompt'.")
    try:
        for row in rows:
            if None in row:
                raise click.ClickException(f"Line {rows.line_num} has more fields than the first line has columns.")
            yield rows.line_num, {name: _value(name, text, rows.line_num) for name, text in row.items() if text}
    except csv.Error as error:
        raise click.ClickException(f"Line {rows.line_num} is no CSV: {error}.") from error


def _value(name: str, text: str, line: int) -> Any:
    try:
        return _NUMBERS.get(name, str)(text)
    except ValueError:
        raise click.ClickException(f"Line {line}: {name} must be a number.") from None


def _lines(file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(file, 1):
        if text.strip():
            yield line, {"prompt": text.rstrip("\n")}


def _request(given: dict[str, Any], line: int, number: int, defaults: Mapping[str, Any]) -> dict[str, Any]:
    name = str(given.pop("custom_id", f"line-{line}" if number else ""))
    params = given.pop("params", None)
    if params is not None:
        if given or not isinstance(params, dict):
            raise click.ClickException(f"Line {line}: a request has custom_id and params, an object, alone.")
        return {"custom_id": name, "params": {**defaults, **params}}
    if "prompt" in given:
        given["messages"] = [*given.get("messages", ()), {"role": "user", "content": given.pop("prompt")}]
    if "messages" not in given:
        raise click.ClickException(f"Line {line} has none of 'prompt', 'messages' and 'params'.")
    return {"custom_id": name, "params": {**defaults, **given}}
