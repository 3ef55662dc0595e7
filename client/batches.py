"""Knows `pinnace batch`: a file of prompts in, a file of results out; it must not know how a batch is run.

What a run is about is noted in a file beside the results, so that it can be gone on with after Ctrl-C, and on another day.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click

from pinnace.client.administration import URL
from pinnace.client.prompts import FORMATS, requests_of

PREFIXES = {"agent": "/sdk", "messages": "/api"}
BATCHES = "/messages/batches"
#: Seconds between two looks.
LOOK = 0.5
PIECE = 1 << 16
FILE = click.Path(dir_okay=False, path_type=Path)
_url = click.option("--url", help="The server; by default PINNACE_URL, or this machine's.")


@click.group()
def batch() -> None:
    """Run many prompts as one batch."""


@batch.command()
@click.argument("prompts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=FILE, required=True, help="Where the results go, a line of JSON each.")
@click.option("--format", "kind", type=click.Choice(sorted(set(FORMATS.values()))), help="By default as the name ends.")
@click.option("--model", default="sonnet", show_default=True, help="For prompts that name none.")
@click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="For prompts without.")
@click.option("--system", help="The system prompt, for prompts without.")
@click.option("--profile", type=click.Choice(sorted(PREFIXES)), default="messages", show_default=True)
@_url
def run(prompts: Path, output: Path, kind: str | None, profile: str, url: str | None, **defaults: Any) -> None:
    """Run the prompts of a file (JSON lines, CSV, or a prompt a line), and wait for their results."""
    note = _note_of(output)
    if note.exists():
        raise click.ClickException(
            f"A batch for {output} is under way; `pinnace batch resume {output}` goes on with it."
        )
    given = {name: value for name, value in defaults.items() if value is not None}
    base = (url or os.environ.get("PINNACE_URL") or URL).rstrip("/") + PREFIXES[profile]
    with tempfile.TemporaryFile() as body, _served(base) as http:
        key = _write(body, requests_of(prompts, kind, given), f"{base} {output.resolve()} {time.time_ns()}")
        made = _ask(http, "POST", BATCHES, content=_pieces(body), headers={"idempotency-key": key})
        note.write_text(json.dumps({"base": base, "id": made["id"]}), encoding="utf-8")
        _wait(http, made["id"], output)


@batch.command()
@click.argument("output", type=FILE)
def resume(output: Path) -> None:
    """Go on with waiting for a batch whose results are to be in OUTPUT."""
    try:
        noted = json.loads(_note_of(output).read_text(encoding="utf-8"))
        base, batch_id = str(noted["base"]), str(noted["id"])
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(f"There is no batch under way for {output}.") from error
    with _served(base) as http:
        _wait(http, batch_id, output)


@batch.command()
@click.argument("output", type=FILE)
def cancel(output: Path) -> None:
    """Stop a batch whose results are to be in OUTPUT; what was done is kept."""
    try:
        noted = json.loads(_note_of(output).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"There is no batch under way for {output}.") from error
    with _served(noted["base"]) as http:
        _ask(http, "POST", f"{BATCHES}/{noted['id']}/cancel")
        _wait(http, noted["id"], output)


@contextlib.contextmanager
def _served(base: str) -> Iterator[Any]:
    import httpx

    key = os.environ.get("PINNACE_API_KEY") or os.environ.get("PINNACE_ADMIN_KEY")
    headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
    with httpx.Client(base_url=f"{base}/v1", headers=headers, timeout=httpx.Timeout(120.0, connect=10.0)) as http:
        try:
            yield http
        except httpx.HTTPError as error:
            raise click.ClickException(f"{base} cannot be reached: {type(error).__name__}.") from error


def _ask(http: Any, method: str, path: str, **fields: Any) -> dict[str, Any]:
    answer = http.request(method, path, **fields)
    if not answer.is_success:
        raise click.ClickException(_refusal(answer))
    given: dict[str, Any] = answer.json()
    return given


def _refusal(answer: Any) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {answer.status_code}."


def _write(body: IO[bytes], requests: Iterator[Mapping[str, Any]], salt: str) -> str:
    """Write the body of a batch, and give a name for it that no other run has."""
    digest = hashlib.sha256(salt.encode())
    between = b'{"requests":['
    for request in requests:
        line = json.dumps(request, ensure_ascii=False).encode()
        body.write(between + line)
        digest.update(line)
        between = b",\n"
    body.write(b"]}")
    body.seek(0)
    return digest.hexdigest()


def _pieces(body: IO[bytes]) -> Iterator[bytes]:
    while piece := body.read(PIECE):
        yield piece


def _note_of(output: Path) -> Path:
    return output.with_name(f"{output.name}.batch")


def _wait(http: Any, batch_id: str, output: Path) -> None:
    """Show how far a batch is until it has ended, and fetch its results."""
    try:
        shown = _show(http, batch_id)
    except KeyboardInterrupt:
        click.echo(f"\nThe batch goes on; fetch its results with: pinnace batch resume {output}", err=True)
        raise click.exceptions.Exit(130) from None
    _fetch(http, batch_id, output)
    _note_of(output).unlink(missing_ok=True)
    counts = shown["request_counts"]
    told = ", ".join(
        f"{counts[name]} {name}" for name in ("succeeded", "errored", "canceled", "expired") if counts[name]
    )
    click.echo(f"{output}: {told}; ${shown['cost_usd']}", err=True)
    if counts["succeeded"] < sum(counts.values()):
        raise click.exceptions.Exit(1)


def _show(http: Any, batch_id: str) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("${task.fields[cost]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar, began, first = None, time.monotonic(), 0
        while True:
            shown = _ask(http, "GET", f"{BATCHES}/{batch_id}")
            done, total = shown["progress"]["done"], sum(shown["request_counts"].values())
            if bar is None:
                first = done
                bar = progress.add_task("", total=total, rate="", cost="0")
            rate = (done - first) / max(LOOK, time.monotonic() - began)
            progress.update(bar, completed=done, rate=f"{rate:.1f}/s", cost=shown["cost_usd"])
            if shown["processing_status"] == "ended":
                return shown
            time.sleep(LOOK)


def _fetch(http: Any, batch_id: str, output: Path) -> None:
    """Write the results, whole or not at all."""
    part = output.with_name(f"{output.name}.part")
    try:
        with http.stream("GET", f"{BATCHES}/{batch_id}/results") as answer, part.open("wb") as file:
            if not answer.is_success:
                answer.read()
                raise click.ClickException(_refusal(answer))
            for piece in answer.iter_bytes():
                file.write(piece)
        part.replace(output)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
