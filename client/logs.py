"""Knows `pinnace logs`: options in, tables out; it must not know how a server is asked, or how the log lies in files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pinnace.client import log_reports
from pinnace.client.administration import Administration
from pinnace.core.errors import PinnaceError

CONFIG = click.Path(dir_okay=False, path_type=Path)


@click.group()
def logs() -> None:
    """Ask the log of requests."""


@logs.command("stats")
@click.option("--project", "project_id", help="The project; by default the key's own, for an administrator all.")
@click.option("--period", help="day, week, month, all, or a month such as 2026-11.")
@click.option("--from", "first", metavar="DAY", help="The first day, instead of a period.")
@click.option("--to", "last", metavar="DAY", help="The last day; by default today.")
@click.option("--url", help="The server; by default PINNACE_URL, or this machine's.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer.")
def show_stats(
    project_id: str | None,
    period: str | None,
    first: str | None,
    last: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show how requests fared, by model, by hour and by path."""
    query = {"project_id": project_id, "period": period, "from": first, "to": last}
    with Administration(url) as server:
        answer = server.ask("GET", "logs/stats", None, **query).json()
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        log_reports.stats_report(answer)


@logs.command("sql")
@click.argument("statement")
@click.option("--config", type=CONFIG, metavar="FILE", help="A pinnace.toml; by default the current directory's.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def run_sql(statement: str, config: Path | None, as_csv: bool, as_json: bool) -> None:
    """Run a SELECT over the log of this machine, whose table is access_log."""
    from pinnace.client.command import extra

    with extra("server,analytics"):
        from pinnace.core.sources import load
        from pinnace.core.stores.access_log import query_access_log

    try:
        found = query_access_log(load(config=config), statement)
    except PinnaceError as error:
        raise click.ClickException(error.message) from error
    if as_json:
        click.echo(log_reports.rows_json(found))
    elif as_csv:
        click.echo(log_reports.rows_csv(found), nl=False)
    else:
        log_reports.rows_table(found)
