"""Knows how projects, keys and usage look in a terminal; it must not know where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Columns of a chart.
WIDTH = 40


def projects_table(projects: Sequence[Mapping[str, Any]]) -> None:
    """A line a project."""
    table = _table("id", "name", "budget", "made", box=None, pad_edge=False)
    for project in projects:
        archived = " (archived)" if project["archived_at"] else ""
        table.add_row(project["id"], project["name"] + archived, _budget(project["budget"]), project["created_at"][:10])
    _console().print(table)


def project_report(project: Mapping[str, Any]) -> None:
    """A project with what it spent."""
    table = _table(box=None, pad_edge=False, show_header=False)
    table.add_row("id", project["id"])
    table.add_row("name", project["name"])
    table.add_row("budget", _budget(project["budget"]))
    table.add_row("models", ", ".join(project["allowed_models"]) or "all")
    for period, spent in project["spending"].items():
        left = f", ${spent['remaining_usd']} left" if spent["remaining_usd"] is not None else ""
        table.add_row(f"{period} spent", f"${spent['spent_usd']} ({spent['spent_tokens']:,} tokens){left}")
    if project["archived_at"]:
        table.add_row("archived", project["archived_at"])
    _console().print(table)


def keys_table(keys: Sequence[Mapping[str, Any]]) -> None:
    """A line a key."""
    table = _table("id", "name", "key", "scopes", "limits", "last used", "state", box=None, pad_edge=False)
    for key in keys:
        limits = ", ".join(f"{value:,} {_words(name)}" for name, value in key["limits"].items() if value is not None)
        state = "revoked" if key["revoked_at"] else f"until {key['expires_at']}" if key["expires_at"] else "good"
        last = (key["last_used_at"] or "never")[:16]
        table.add_row(key["id"], key["name"], key["hint"], ", ".join(key["scopes"]), limits or "none", last, state)
    _console().print(table)


def usage_report(usage: Mapping[str, Any]) -> None:
    """A table by model and a chart by day."""
    out = _console()
    out.print(f"{usage['project_id']}, {usage['from']} to {usage['to']}")
    table = _table("model", box=None, pad_edge=False)
    for heading in ("requests", "tokens", "cost"):
        table.add_column(heading, justify="right")
    for model, counted in usage["by_model"].items():
        table.add_row(model, f"{counted['requests']:,}", f"{counted['total_tokens']:,}", _dollars(counted["cost"]))
    table.add_row("in all", f"{usage['requests']:,}", f"{usage['total_tokens']:,}", _dollars(usage["total_cost"]))
    out.print(table)
    days = usage["by_day"]
    most = max((day["cost"] for day in days.values()), default=0)
    if not most:
        return
    from rich.bar import Bar

    chart = _table(box=None, pad_edge=False, show_header=False)
    for name, day in days.items():
        chart.add_row(name, Bar(most, 0, day["cost"], width=WIDTH), _dollars(day["cost"]))
    out.print()
    out.print(chart)


def _budget(budget: Mapping[str, Any]) -> str:
    named = (("monthly_usd", "a month"), ("total_usd", "in all"))
    parts = [f"${budget[name]} {words}" for name, words in named if budget[name] is not None]
    counted = (("monthly_tokens", "tokens a month"), ("total_tokens", "tokens in all"))
    parts += [f"{budget[name]:,} {words}" for name, words in counted if budget[name] is not None]
    warns = " (warns)" if parts and budget["mode"] == "warn" else ""
    return (", ".join(parts) or "none") + warns


def _dollars(amount: float) -> str:
    return f"${amount:.6f}"


def _words(name: str) -> str:
    return name.replace("_per_minute", "/min").replace("_", " ")


def _table(*columns: str, **options: Any) -> Table:
    from rich.table import Table

    return Table(*columns, **options)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)
