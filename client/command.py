"""Knows the `pinnace` command: its words, its exit statuses and what it prints; it must not know how anything is served."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; by default pinnace.toml in this directory, if there is one.",
)
MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("pinnace"), prog_name="pinnace")
def main() -> None:
    """Claude Code as an HTTP API."""


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a user can mend into one sentence and an exit status."""
    from pinnace.core.errors import CliUnavailable, Misconfigured  # noqa: PLC0415 - `--help` must not wait for it

    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pinnace"):
            raise
        raise click.ClickException(
            f"{error.name} is not installed; pip install 'pinnace[server]' brings it."
        ) from error
    except (Misconfigured, CliUnavailable) as error:
        click.echo(f"pinnace: {error.message if isinstance(error, CliUnavailable) else error}", err=True)
        sys.exit(2)


def _load(config: Path | None, **overrides: Any) -> Any:
    settings = importlib.import_module("pinnace.core.settings")
    for name in settings.unknown_variables(os.environ):
        click.echo(f"pinnace: {name} is no setting and has no effect", err=True)
    return settings.load(config=config, **overrides)


@main.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on.  [default: 8787]")
@CONFIG
def serve(host: str | None, port: int | None, config: Path | None) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    with _told():
        settings = _load(config, host=host, port=port)
        server = importlib.import_module("pinnace.handlers.hosts.server")
        status = server.serve(settings)
    sys.exit(status)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8788, show_default=True, help="0 takes a free one.")
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), help="Append each request to this file as JSON."
)
def upstream(port: int, record: Path | None) -> None:
    """Play the Anthropic API by scripts in the prompts, for tests without a key."""
    with _told():
        endpoint = importlib.import_module("pinnace.testing.upstream").Upstream(port=port, record=record)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        endpoint.__enter__()
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}.") from error
    try:
        click.echo(f"scripted endpoint on {endpoint.url}")
        stopped.wait()
    finally:
        endpoint.__exit__(None, None, None)


@main.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config: Path | None, *, as_json: bool) -> None:
    """Say which credential is used, whether the CLI runs, and what is missing."""
    with _told():
        settings = _load(config)
        wiring = importlib.import_module("pinnace.core.wiring")
        findings = asyncio.run(wiring.diagnose(settings, os.environ))
    if as_json:
        import json  # noqa: PLC0415 - here alone

        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        from rich.console import Console  # noqa: PLC0415 - `--help` must not wait for it

        console = Console(soft_wrap=True)
        for finding in findings:
            console.print(f"{MARKS[finding.status]} [bold]{finding.name}[/]  {finding.message}", highlight=False)
            if finding.remedy and finding.status != "ok":
                console.print(f"  {finding.remedy}", highlight=False)
    sys.exit(any(finding.status == "failed" for finding in findings))


@main.command()
def demo() -> None:
    """Show the main job end to end: the real CLI, a scripted model, no key."""
    with _told():
        show = importlib.import_module("pinnace.client.demo")
    sys.exit(show.run())
