"""Knows the `pinnace` command line: options, exit statuses, words for what went wrong; it must not know how the work is done.

Each command imports what it runs when it runs, so that `pinnace --help` is quick and a part that is not installed hurts only
the command that needs it. Status 1 is a failure, 2 a wrong option or setting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from pinnace.client.batches import batch
from pinnace.client.chat import chat
from pinnace.client.files import files
from pinnace.client.logs import logs
from pinnace.client.management import init, keys, projects, usage
from pinnace.core.errors import Misconfigured, PinnaceError

PORTS = click.IntRange(0, 65535)
CONFIG = click.Path(dir_okay=False, path_type=Path)


class _WrongSetting(click.ClickException):
    exit_code = 2


@contextlib.contextmanager
def extra(names: str) -> Iterator[None]:
    """Run imports that only some installations have; where one is missing, say how to get it.

    Args:
        names: The extras that bring it, as between the brackets of `pip install 'pinnace[...]'`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "pinnace":
            raise
        raise click.ClickException(f"{missing} is not installed; pip install 'pinnace[{names}]' brings it.") from error


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turn pinnace's own errors into one sentence and a status."""
    try:
        yield
    except Misconfigured as error:
        raise _WrongSetting(error.message) from error
    except PinnaceError as error:
        raise click.ClickException(error.message) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pinnace", message="%(prog)s %(version)s")
def main() -> None:
    """Serve Claude Code as an HTTP API."""


@main.command()
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=PORTS, help="The port to listen on; 0 takes a free one.")
@click.option("--config", type=CONFIG, metavar="FILE", help="A pinnace.toml; by default the current directory's.")
@click.pass_context
def serve(context: click.Context, host: str | None, port: int | None, config: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with extra("server"), failures():
        from pinnace.core.sources import load, unknown_variables

        for name in unknown_variables(os.environ):
            click.echo(f"Warning: {name} is no setting and has no effect.", err=True)
        settings = load(config=config, host=host, port=port)
        from pinnace.handlers.hosts.server import serve as run

        status = run(settings)
    context.exit(status)


@main.command()
@click.option("--port", type=PORTS, default=8788, show_default=True, help="The port; 0 takes a free one.")
@click.option("--record", type=CONFIG, metavar="FILE", help="Append each request to FILE, one JSON object a line.")
def upstream(port: int, record: Path | None) -> None:
    """Play the model's API by the directives in the prompts."""
    with extra("server"):
        from pinnace.testing.upstream import Upstream

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    if record:
        try:
            record.touch()
        except OSError as error:
            raise click.ClickException(f"{record} cannot be written to: {error.strerror}.") from error
    try:
        scripted = Upstream(port=port, record=record).__enter__()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(f"Port {port} is in use; choose another one with --port.") from error
        raise click.ClickException(f"Port {port} cannot be listened on: {error.strerror}.") from error
    with contextlib.ExitStack() as stack:
        stack.push(scripted)
        click.echo(f"scripted endpoint on {scripted.url}")
        stopped.wait()


@main.command()
@click.option("--config", type=CONFIG, metavar="FILE", help="A pinnace.toml; by default the current directory's.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def doctor(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Look at what works here, and say what to do about the rest."""
    with extra("server"):
        from pinnace.client.examination import examine, render, render_json

        findings = examine(config, os.environ)
    if as_json:
        click.echo(render_json(findings))
    else:
        render(findings)
    context.exit(1 if any(finding.status == "failed" for finding in findings) else 0)


@main.command()
@click.option("--keep", is_flag=True, help="Leave the server running at the end, until Ctrl-C.")
def demo(keep: bool) -> None:
    """Show a server, the real CLI and a client at work, with a scripted model and no key."""
    with extra("server,demo"):
        from pinnace.client.demo import DemoFailed, show

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        show(keep=keep)
    except DemoFailed as error:
        raise click.ClickException(str(error)) from error


for added in (batch, init, projects, keys, usage, logs, chat, files):
    main.add_command(added)


if __name__ == "__main__":
    main(prog_name="pinnace")
