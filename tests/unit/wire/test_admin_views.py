"""Knows how projects, keys, budgets and usage are shown, and that what is shown adds up."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.model.access import AuditEntry, Budget, BudgetMode, Key, Project, Scope
from pinnace.core.model.ledger import Account, Amount, Balance, Cap
from pinnace.core.model.usage import KINDS, UsageTotal, Use
from pinnace.core.wire.admin.bodies import BudgetBody, read
from pinnace.core.wire.admin.money import MOST, to_microusd
from pinnace.core.wire.admin.views import (
    audit_view,
    budget_view,
    key_view,
    page_view,
    project_view,
    spending_view,
    usage_csv,
    usage_view,
)

BOUNDS = st.none() | st.integers(0, MOST)
TOKENS = st.none() | st.integers(0, 10**15)
BUDGETS = st.builds(Budget, BOUNDS, BOUNDS, TOKENS, TOKENS, st.sampled_from(BudgetMode))


@given(BUDGETS)
def test_a_budget_is_shown_as_it_may_be_written(budget: Budget) -> None:
    assert read(BudgetBody, json.dumps(budget_view(budget)).encode()).value() == budget


def test_a_project_shows_what_it_is() -> None:
    assert project_view(Project("prj_1", "n", 0.0, allowed_models=("m",), archived_at=60.0)) == {
        "id": "prj_1",
        "type": "project",
        "name": "n",
        "budget": budget_view(Budget()),
        "allowed_models": ["m"],
        "created_at": "1970-01-01T00:00:00Z",
        "archived_at": "1970-01-01T00:01:00Z",
    }


def test_a_key_shows_its_secret_where_it_is_givenand_its_digest_never() -> None:
    key = Key("key_1", "prj_1", "n", "dig35t", "wxyz", 0.0, scopes=frozenset([Scope.USAGE, Scope.FILES]))
    shown = key_view(key)
    assert (shown["hint"], shown["scopes"], shown["profile"]) == ("…wxyz", ["files", "usage"], None)
    assert "key" not in shown
    assert "dig35t" not in json.dumps(shown)
    assert key_view(key, "pn_live_secret") == {**shown, "key": "pn_live_secret"}


def test_an_act_shows_when_it_was() -> None:
    assert audit_view(AuditEntry(0.0, "key_1", "key.revoke", "key_2", "prj_1", {"a": 1})) == {
        "type": "audit_entry",
        "at": "1970-01-01T00:00:00Z",
        "actor": "key_1",
        "action": "key.revoke",
        "target": "key_2",
        "project_id": "prj_1",
        "details": {"a": 1},
    }


@pytest.mark.parametrize(("count", "more"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_page_says_whether_there_is_more_and_where_it_ends(count: int, more: bool) -> None:
    items = [{"id": f"i{number}"} for number in range(count)]
    page = page_view(items, 2)
    assert page["data"] == items[:2]
    assert page["has_more"] is more
    assert (page["first_id"], page["last_id"]) == (("i0", items[:2][-1]["id"]) if items else (None, None))


MICRO = st.integers(0, 10**9)
AMOUNTS = st.builds(Amount, MICRO, MICRO)
BALANCES = st.builds(Balance, AMOUNTS, AMOUNTS)
MONTH, TOTAL = Account("project:p", "2026-11"), Account("project:p", "all")


@given(st.tuples(BALANCES, BALANCES), st.tuples(st.none() | MICRO, st.none() | MICRO))
def test_what_is_spent_reserved_and_left_are_of_one_budget(
    balances: tuple[Balance, Balance], limits: tuple[int | None, int | None]
) -> None:
    shown = spending_view([Cap(MONTH, limits[0]), Cap(TOTAL, limits[1])], balances)
    plain = {name: shown[name] for name in ("spent_usd", "reserved_usd", "remaining_usd")}
    assert any(plain.items() <= period.items() for period in shown["spending"].values())
    bounded = [
        (max(0, limit - balance.committed.microusd), limit, balance)
        for limit, balance in zip(limits, balances, strict=True)
        if limit is not None
    ]
    if not bounded:
        assert plain.items() <= shown["spending"]["month"].items()
        assert plain["remaining_usd"] is None
        return
    assert to_microusd(plain["remaining_usd"]) == min(left for left, _, _ in bounded)
    sums = {max(limit, balance.committed.microusd) for _, limit, balance in bounded}
    assert sum(to_microusd(part) for part in plain.values()) in sums


def test_spending_is_shown_for_the_month_and_in_all() -> None:
    caps = [Cap(MONTH, 2_000_000, 100), Cap(TOTAL, None, None)]
    month, total = Balance(Amount(500_000, 30), Amount(250_000, 90)), Balance(Amount(7_000_000, 800))
    assert spending_view(caps, [month, total]) == {
        "spent_usd": "0.500000",
        "reserved_usd": "0.250000",
        "remaining_usd": "1.250000",
        "spending": {
            "month": {
                "period": "2026-11",
                "spent_usd": "0.500000",
                "reserved_usd": "0.250000",
                "remaining_usd": "1.250000",
                "spent_tokens": 30,
                "reserved_tokens": 90,
                "remaining_tokens": 0,
            },
            "total": {
                "period": "all",
                "spent_usd": "7.000000",
                "reserved_usd": "0.000000",
                "remaining_usd": None,
                "spent_tokens": 800,
                "reserved_tokens": 0,
                "remaining_tokens": None,
            },
        },
    }


USES = st.builds(Use, st.fixed_dictionaries(dict.fromkeys(KINDS, MICRO)), MICRO)
TOTALS = st.lists(
    st.builds(
        UsageTotal,
        st.dates().map(str),
        st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=9),
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=9) | st.just('a,"b"'),
        st.integers(0, 10**6),
        USES,
    ),
    max_size=6,
)


@given(TOTALS)
def test_a_table_of_usage_is_read_back_as_it_was(totals: list[UsageTotal]) -> None:
    lines = list(csv.DictReader(io.StringIO(usage_csv(totals), newline="")))
    assert len(lines) == len(totals)
    for line, total in zip(lines, totals, strict=True):
        # What a spreadsheet would take for a formula has a quote before it.
        model = f"'{total.model}" if total.model[:1] in tuple("=+-@") else total.model
        assert (line["day"], line["key_id"], line["model"]) == (total.day, total.key_id or "", model)
        assert int(line["requests"]) == total.requests
        assert {kind: int(line[kind]) for kind in KINDS} == dict(total.use.tokens)
        assert int(line["total_tokens"]) == total.use.total_tokens
        assert to_microusd(line["cost_usd"]) == total.use.microusd


@given(TOTALS)
def test_usage_by_model_by_key_and_by_day_each_add_up_to_the_whole(totals: list[UsageTotal]) -> None:
    shown = usage_view("p", "2026-11", ("2026-11-01", "2026-11-30"), totals)
    for name in ("by_model", "by_key", "by_day"):
        groups = shown[name].values()
        assert sum(group["requests"] for group in groups) == shown["requests"]
        assert sum(group["total_tokens"] for group in groups) == shown["total_tokens"]
        assert {kind: sum(group[kind] for group in groups) for kind in KINDS} == shown["tokens"]
        assert sum(group["cost"] for group in groups) == pytest.approx(shown["total_cost"])


def test_usage_without_a_key_has_a_group_of_its_own() -> None:
    total = UsageTotal("2026-11-21", None, "m", 2, Use({"input_tokens": 3}, 1_500_000))
    shown = usage_view("p", "day", ("2026-11-21", "2026-11-21"), [total])
    assert list(shown["by_key"]) == ["none"]
    assert (shown["total_cost"], shown["by_model"]["m"]["cost"], shown["by_day"]["2026-11-21"]["requests"]) == (
        1.5,
        1.5,
        2,
    )
