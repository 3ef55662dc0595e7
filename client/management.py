"""Knows `pinnace init`, `projects`, `keys` and `usage`: options in, tables out; it must not know how a server is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from pinnace.client import reports
from pinnace.client.administration import Administration, make_administrator
from pinnace.core.errors import PinnaceError

F = TypeVar("F", bound=Callable[..., Any])

BUDGET = ("monthly_usd", "total_usd", "monthly_tokens", "total_tokens")
LIMITS = (
    "requests_per_minute",
    "tokens_per_minute",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "concurrent",
)
SCOPES = click.Choice(["messages", "batches", "files", "sessions", "usage", "admin"])


def _words(name: str) -> str:
    return name.replace("_", " ").replace("usd", "dollars")


def _asking(command: F) -> F:
    """The options of every command that asks a server."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the server's answer.")(command)
    return click.option("--url", help="The server; by default PINNACE_URL, or this machine's.")(command)


def _budgeted(command: F) -> F:
    """The options of a budget."""
    command = click.option("--warn", is_flag=True, help="Warn at the budget's end, and refuse nothing.")(command)
    for name in BUDGET[2:]:
        command = click.option(f"--{name.replace('_', '-')}", type=int, help=f"A budget: {_words(name)}.")(command)
    for name in BUDGET[:2]:
        command = click.option(f"--{name.replace('_', '-')}", help=f"A budget: {_words(name)}.")(command)
    return command


def _limited(command: F) -> F:
    """The options of limits."""
    for name in reversed(LIMITS):
        command = click.option(f"--{name.replace('_', '-')}", type=int, help=f"A limit: {_words(name)}.")(command)
    return command


@click.command()
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="A pinnace.toml.")
@click.option("--name", default="administrator", show_default=True, help="The key's name.")
def init(config: Path | None, name: str) -> None:
    """Make an administrator's key for the server of this machine."""
    try:
        secret = make_administrator(config, name)
    except PinnaceError as error:
        raise click.ClickException(error.message) from error
    click.echo(secret)
    click.echo(
        "It is shown this once. Set PINNACE_ADMIN_KEY to it for `pinnace projects` and `pinnace keys`.", err=True
    )


@click.group()
def projects() -> None:
    """Make, list, show, change and archive projects."""


@projects.command("create")
@click.argument("name")
@click.option("--allow-model", "models", multiple=True, help="A model, or a pattern, that it may use.")
@_budgeted
@_asking
def create_project(name: str, models: tuple[str, ...], url: str | None, as_json: bool, **given: Any) -> None:
    """Make a project."""
    body = {"name": name, "budget": _budget(given) or {}, "allowed_models": list(models)}
    _show_project(_ask(url, "POST", "projects", body), as_json)


@projects.command("list")
@_asking
def list_projects(url: str | None, as_json: bool) -> None:
    """List the projects, oldest first."""
    _show(_all(url, "projects"), as_json, reports.projects_table)


@projects.command("show")
@click.argument("project_id")
@_asking
def show_project(project_id: str, url: str | None, as_json: bool) -> None:
    """Show a project and what it spent."""
    _show_project(_ask(url, "GET", f"projects/{_id(project_id)}"), as_json)


@projects.command("change")
@click.argument("project_id")
@click.option("--name", help="Another name.")
@_budgeted
@_asking
def change_project(project_id: str, name: str | None, url: str | None, as_json: bool, **given: Any) -> None:
    """Change a project; a budget is replaced as a whole."""
    changes: dict[str, Any] = {"name": name} if name else {}
    if (budget := _budget(given)) is not None:
        changes["budget"] = budget
    _show_project(_ask(url, "PATCH", f"projects/{_id(project_id)}", changes), as_json)


@projects.command("archive")
@click.argument("project_id")
@_asking
def archive_project(project_id: str, url: str | None, as_json: bool) -> None:
    """End a project: its keys stop at once."""
    _show_project(_ask(url, "DELETE", f"projects/{_id(project_id)}"), as_json)


@click.group()
def keys() -> None:
    """Make, list, show and revoke keys."""


@keys.command("create")
@click.argument("project_id")
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, help="What it is good for; by default all but admin.")
@click.option("--allow-model", "models", multiple=True, help="A model, or a pattern, that it may use.")
@click.option("--profile", type=click.Choice(["messages", "agent"]), help="The profile of its calls.")
@click.option("--expires-at", metavar="MOMENT", help="When it ends, such as 2027-01-01T00:00:00Z.")
@_limited
@_budgeted
@_asking
def create_key(
    project_id: str,
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    profile: str | None,
    expires_at: str | None,
    url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Make a key, and print its secret this once."""
    limits = {limit: given[limit] for limit in LIMITS if given[limit] is not None}
    body: dict[str, Any] = {"project_id": project_id, "name": name, "limits": limits, "allowed_models": list(models)}
    body |= {"budget": _budget(given) or {}, "profile": profile, "expires_at": expires_at}
    if scopes:
        body["scopes"] = list(scopes)
    made = _ask(url, "POST", "keys", body)
    if as_json:
        click.echo(json.dumps(made, indent=2, ensure_ascii=False))
        return
    click.echo(made["key"])
    click.echo(f"{made['id']} is shown this once.", err=True)


@keys.command("list")
@click.argument("project_id")
@_asking
def list_keys(project_id: str, url: str | None, as_json: bool) -> None:
    """List the keys of a project, oldest first."""
    _show(_all(url, "keys", project_id=project_id), as_json, reports.keys_table)


@keys.command("show")
@click.argument("key_id")
@_asking
def show_key(key_id: str, url: str | None, as_json: bool) -> None:
    """Show a key and what it spent."""
    _show([_ask(url, "GET", f"keys/{_id(key_id)}")], as_json, reports.keys_table)


@keys.command("revoke")
@click.argument("key_id")
@_asking
def revoke_key(key_id: str, url: str | None, as_json: bool) -> None:
    """Make a key good for nothing, for ever."""
    _show([_ask(url, "DELETE", f"keys/{_id(key_id)}")], as_json, reports.keys_table)


@click.command()
@click.option("--project", "project_id", help="The project; by default the key's own.")
@click.option("--period", help="day, week, month, all, or a month such as 2026-11.")
@click.option("--key", "key_id", help="Only this key.")
@click.option("--model", help="Only this model.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each day, key and model.")
@_asking
def usage(
    project_id: str | None,
    period: str | None,
    key_id: str | None,
    model: str | None,
    as_csv: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Show what a project used: a table by model, and a chart by day."""
    query = {"project_id": project_id, "period": period, "key_id": key_id, "model": model}
    with Administration(url) as server:
        answer = server.ask("GET", "usage", None, **query, format="csv" if as_csv else None)
    if as_csv:
        click.echo(answer.text, nl=False)
    else:
        _show(answer.json(), as_json, reports.usage_report)


def _ask(url: str | None, method: str, path: str, body: Any = None) -> dict[str, Any]:
    with Administration(url) as server:
        answer: dict[str, Any] = server.ask(method, path, body).json()
        return answer


def _all(url: str | None, path: str, **query: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    found: list[dict[str, Any]] = []
    more, last = True, None
    with Administration(url) as server:
        while more:
            page = server.ask("GET", path, None, limit="100", after_id=last, **query).json()
            found += page["data"]
            more, last = page["has_more"], page["last_id"]
    return found


def _show(answer: Any, as_json: bool, render: Callable[[Any], None]) -> None:
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        render(answer)


def _show_project(answer: dict[str, Any], as_json: bool) -> None:
    _show(answer, as_json, reports.project_report)


def _budget(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The budget that options describe; None where there is none of them."""
    bounds = {name: given[name] for name in BUDGET if given[name] is not None}
    if not bounds and not given["warn"]:
        return None
    return bounds | {"mode": "warn" if given["warn"] else "hard"}


def _id(given: str) -> str:
    """An id as a part of a path: what is none is refused, not sent somewhere else."""
    if not given.replace("_", "").replace("-", "").isalnum():
        raise click.ClickException(f"{given!r} is no id.")
    return given
