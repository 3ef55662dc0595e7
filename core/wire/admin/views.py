"""Knows how projects, keys, usage and routes look to those who ask; it must not know who may see them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pinnace.core.model.access import AuditEntry, Budget, Key, Project
from pinnace.core.model.ledger import ALL_TIME, Amount, Balance, Cap
from pinnace.core.model.usage import KINDS, UsageTotal, Use
from pinnace.core.wire.admin.bodies import moment
from pinnace.core.wire.admin.money import dollars


def budget_view(budget: Budget) -> dict[str, Any]:
    """A budget as it is written in a request."""
    return {
        "monthly_usd": None if budget.monthly_microusd is None else dollars(budget.monthly_microusd),
        "total_usd": None if budget.total_microusd is None else dollars(budget.total_microusd),
        "monthly_tokens": budget.monthly_tokens,
        "total_tokens": budget.total_tokens,
        "mode": budget.mode.value,
    }


def project_view(project: Project) -> dict[str, Any]:
    """A project without what it spent."""
    return {
        "id": project.id,
        "type": "project",
        "name": project.name,
        "budget": budget_view(project.budget),
        "allowed_models": list(project.allowed_models),
        "created_at": moment(project.created_at),
        "archived_at": moment(project.archived_at),
    }


def key_view(key: Key, secret: str | None = None) -> dict[str, Any]:
    """A key; `secret` is shown to whoever made it, and never again."""
    shown: dict[str, Any] = {
        "id": key.id,
        "type": "key",
        "project_id": key.project_id,
        "name": key.name,
        "hint": f"…{key.hint}",
        "scopes": sorted(scope.value for scope in key.scopes),
        "profile": key.profile.value if key.profile else None,
        "allowed_models": list(key.allowed_models),
        "limits": asdict(key.limits),
        "budget": budget_view(key.budget),
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
        "last_used_at": moment(key.last_used_at),
    }
    return shown if secret is None else {**shown, "key": secret}


def spending_view(caps: Sequence[Cap], balances: Sequence[Balance]) -> dict[str, Any]:
    """What was spent of a month's and a total budget.

    The plain fields are those of the budget in dollars with the least left, or of the month where there is none: so
    spent, reserved and remaining add up to one budget.
    """
    periods = {_period(cap): _balance_view(cap, balance) for cap, balance in zip(caps, balances, strict=True)}
    bounded = [shown for shown in periods.values() if shown["remaining_usd"] is not None]
    tightest = min(bounded, key=lambda shown: int(shown["remaining_usd"].replace(".", "")), default=periods["month"])
    plain = ("spent_usd", "reserved_usd", "remaining_usd")
    return {name: tightest[name] for name in plain} | {"spending": periods}


def audit_view(entry: AuditEntry) -> dict[str, Any]:
    """An administrative act."""
    return asdict(entry) | {"at": moment(entry.at), "type": "audit_entry"}


def page_view(items: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of a list that was asked for one more than `limit`."""
    shown = list(items[:limit])
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": shown, "has_more": len(items) > limit, "first_id": first, "last_id": last}


def usage_view(project_id: str, period: str, days: tuple[str, str], totals: Sequence[UsageTotal]) -> dict[str, Any]:
    """The usage of a period: the sums, and the same by model, by key and by day."""
    everything = sum((total.use for total in totals), Use())
    return {
        "project_id": project_id,
        "period": period,
        "from": days[0],
        "to": days[1],
        "requests": sum(total.requests for total in totals),
        "total_tokens": everything.total_tokens,
        "total_cost": everything.microusd / 1_000_000,
        "tokens": {kind: everything.tokens.get(kind, 0) for kind in KINDS},
        "by_model": _grouped([(total.model, total) for total in totals]),
        "by_key": _grouped([(total.key_id or "none", total) for total in totals]),
        "by_day": _grouped([(total.day, total) for total in totals]),
    }


def usage_csv(totals: Sequence[UsageTotal]) -> str:
    """One line a day, key and model."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(["day", "key_id", "model", "requests", *KINDS, "total_tokens", "cost_usd"])
    for total in totals:
        counts = [total.use.tokens.get(kind, 0) for kind in KINDS]
        cost = dollars(total.use.microusd)
        lines.writerow(
            [total.day, total.key_id or "", _cell(total.model), total.requests, *counts, total.use.total_tokens, cost]
        )
    return written.getvalue()


def _cell(text: str) -> str:
    """A caller's text, so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _period(cap: Cap) -> str:
    return "total" if cap.account.period == ALL_TIME else "month"


def _balance_view(cap: Cap, balance: Balance) -> dict[str, Any]:
    left = Amount((cap.microusd or 0) - balance.committed.microusd, (cap.tokens or 0) - balance.committed.tokens)
    return {
        "period": cap.account.period,
        "spent_usd": dollars(balance.spent.microusd),
        "reserved_usd": dollars(balance.reserved.microusd),
        "remaining_usd": None if cap.microusd is None else dollars(max(0, left.microusd)),
        "spent_tokens": balance.spent.tokens,
        "reserved_tokens": balance.reserved.tokens,
        "remaining_tokens": None if cap.tokens is None else max(0, left.tokens),
    }


def _grouped(named: Sequence[tuple[str, UsageTotal]]) -> Mapping[str, dict[str, Any]]:
    groups: dict[str, tuple[int, Use]] = {}
    for name, total in named:
        requests, use = groups.get(name, (0, Use()))
        groups[name] = (requests + total.requests, use + total.use)
    return {
        name: {
            "requests": requests,
            "total_tokens": use.total_tokens,
            "cost": use.microusd / 1_000_000,
            **{kind: use.tokens.get(kind, 0) for kind in KINDS},
        }
        for name, (requests, use) in sorted(groups.items())
    }
