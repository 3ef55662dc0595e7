"""Knows `pinnace files`: files go up and come down in pieces, whole or not at all; it must not know how a server keeps them.

Beyond `DIRECT` bytes a file goes straight to where the server keeps it, where that can be: requests may be small there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mimetypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pinnace.client.administration import URL

if TYPE_CHECKING:
    import httpx

#: Bytes; hosts with small requests let 6 MB through at most.
DIRECT = 4 << 20
#: Seconds without a byte; a server that has a large file looks through it before it answers.
SILENCE = 300.0
#: What a server says that keeps files itself, and the status of one whose requests are smaller than the file.
UNAVAILABLE, TOO_LARGE = "direct_uploads_unavailable", 413
#: Bytes of a file that are in memory at once.
PIECE = 1 << 20
SOURCE = click.Path(exists=True, dir_okay=False, path_type=Path)
server = click.option("--url", help="The server; by default PINNACE_URL, or this machine's.")
as_answer = click.option("--json", "as_json", is_flag=True, help="Print the server's answer.")


@click.group()
def files() -> None:
    """Upload, list, show, download and delete files."""


@files.command("upload")
@click.argument("source", type=SOURCE)
@click.option("--name", help="Another name than the file's own.")
@click.option("--type", "mime_type", help="Its type, where its bytes do not tell.")
@click.option("--expires-in", type=click.IntRange(3600, 7_776_000), help="Seconds that it is kept.")
@server
@as_answer
def upload(
    source: Path, name: str | None, mime_type: str | None, expires_in: int | None, url: str | None, as_json: bool
) -> None:
    """Upload SOURCE, and print its id."""
    called, size = name or source.name, source.stat().st_size
    kind = mime_type or mimetypes.guess_type(called)[0] or "application/octet-stream"
    asked = {"filename": called, "size_bytes": size, "mime_type": kind}
    if expires_in is not None:
        asked["expires_in_seconds"] = expires_in
    with _asking(url) as http:
        answer = _sent_straight(http, source, asked) if size > DIRECT else None
        if answer is None:
            fields = {"expires_in_seconds": str(expires_in)} if expires_in is not None else {}
            with source.open("rb") as file:
                answer = http.post("files", data=fields, files={"file": (called, file, kind)})
            if answer.status_code == TOO_LARGE and size <= DIRECT:
                answer = _sent_straight(http, source, asked) or answer
        made = _good(answer).json()
    if as_json:
        click.echo(json.dumps(made, indent=2, ensure_ascii=False))
    else:
        click.echo(made["id"])
        click.echo(f"{made['filename']}, {made['size_bytes']:,} bytes, {made['mime_type']}", err=True)


@files.command("list")
@server
@as_answer
def list_files(url: str | None, as_json: bool) -> None:
    """List the files, newest first."""
    found: list[dict[str, Any]] = []
    with _asking(url) as http:
        page: str | None = None
        while True:
            query = {"limit": "100"} | ({"page": page} if page else {})
            answer = _good(http.get("files", params=query)).json()
            found += answer["data"]
            page = answer["next_page"]
            if page is None:
                break
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    for file in [] if as_json else found:
        _describe(file)


@files.command("show")
@click.argument("file_id")
@server
@as_answer
def show(file_id: str, url: str | None, as_json: bool) -> None:
    """Show a file."""
    with _asking(url) as http:
        file = _good(http.get(f"files/{_id(file_id)}")).json()
    if as_json:
        click.echo(json.dumps(file, indent=2, ensure_ascii=False))
    else:
        _describe(file)


@files.command("download")
@click.argument("file_id")
@click.option("--output", metavar="FILE", help="Where to write it; '-' is the terminal. By default its own name, here.")
@server
def download(file_id: str, output: str | None, url: str | None) -> None:
    """Download a file; one that is there already is not written over, unless --output names it."""
    with _asking(url) as http:
        file = _good(http.get(f"files/{_id(file_id)}")).json()
        if output == "-":
            _receive(http, file_id, sys.stdout.buffer)
            return
        # What a server says is no path.
        target = Path(output or Path(file["filename"]).name)
        if output is None and target.exists():
            raise click.ClickException(f"{target} is there already; name another file with --output.")
        part = target.with_name(f"{target.name}.part")
        try:
            with part.open("wb") as written:
                _receive(http, file_id, written)
            part.replace(target)
        except OSError as error:
            raise click.ClickException(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)
    click.echo(str(target))


@files.command("delete")
@click.argument("file_ids", nargs=-1, required=True)
@server
def delete(file_ids: tuple[str, ...], url: str | None) -> None:
    """Delete files for good."""
    with _asking(url) as http:
        for file_id in file_ids:
            click.echo(_good(http.delete(f"files/{_id(file_id)}")).json()["id"])


def _sent_straight(http: httpx.Client, source: Path, asked: dict[str, Any]) -> httpx.Response | None:
    """Send a file to where the server keeps it, and give the server's answer to that; None where the server takes it itself."""
    import httpx

    offered = http.post("files/uploads", json=asked)
    if UNAVAILABLE in offered.text and not offered.is_success:
        return None
    form = _good(offered).json()
    with source.open("rb") as file:
        # To another host than the server's, so without its key.
        sent = httpx.request(
            form["upload"]["method"],
            form["upload"]["url"],
            data=form["upload"]["fields"],
            files={"file": file},
            timeout=SILENCE,
        )
    if not sent.is_success:
        raise click.ClickException(f"The file could not be stored: status {sent.status_code}.")
    return _good(http.post(f"files/uploads/{form['id']}/complete"))


def _receive(http: httpx.Client, file_id: str, target: BinaryIO) -> None:
    digest = hashlib.sha256()
    with http.stream("GET", f"files/{file_id}/content") as answer:
        if not answer.is_success:
            answer.read()
        for piece in _good(answer).iter_bytes(PIECE):
            digest.update(piece)
            target.write(piece)
        if answer.headers.get("etag", "").strip('"') != digest.hexdigest():
            raise click.ClickException("What arrived is not the file that was uploaded; try again.")


@contextlib.contextmanager
def _asking(url: str | None) -> Iterator[httpx.Client]:
    import httpx

    key = os.environ.get("PINNACE_API_KEY") or os.environ.get("PINNACE_ADMIN_KEY")
    base = (url or os.environ.get("PINNACE_URL") or URL).rstrip("/")
    headers = {"x-api-key": key} if key else {}
    with httpx.Client(base_url=f"{base}/v1/", headers=headers, timeout=httpx.Timeout(SILENCE, connect=10.0)) as http:
        try:
            yield http
        except httpx.HTTPError as error:
            raise click.ClickException(f"{base} cannot be reached: {type(error).__name__}.") from error


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The server answered with status {answer.status_code}."
    raise click.ClickException(message)


def _describe(file: dict[str, Any]) -> None:
    """A line, whose last word may have spaces."""
    until = f"until {file['expires_at'][:16]}Z" if file["expires_at"] else "for good"
    words = (file["id"], f"{file['size_bytes']:>13,}", f"{file['mime_type']:<16}", f"{until:<23}", file["filename"])
    click.echo("  ".join(words))


def _id(given: str) -> str:
    """An id as a part of a path: what is none is refused, not sent somewhere else."""
    if not given.replace("_", "").isalnum():
        raise click.ClickException(f"{given!r} is no id.")
    return given
