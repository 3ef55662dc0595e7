"""Knows how dollars, projects and keys are read, and which field a refusal names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.access import Budget, BudgetMode, Limits, Scope
from pinnace.core.model.run import Profile
from pinnace.core.wire.admin.bodies import KeyChange, NewKey, NewProject, ProjectChange, RouteQuestion, moment, read
from pinnace.core.wire.admin.money import MOST, dollars, to_microusd

Shape = type[NewProject] | type[ProjectChange] | type[NewKey] | type[KeyChange]

NEW_KEY = {"project_id": "p", "name": "k"}


def fields_of(shape: Shape, **body: Any) -> dict[str, Any]:
    return read(shape, json.dumps(body).encode()).fields()


@pytest.mark.parametrize(
    ("written", "micro"),
    [
        (0, 0),
        (10, 10_000_000),
        (-3, -3_000_000),
        (10**12, MOST),
        (0.1, 100_000),
        (0.000001, 1),
        (19.99, 19_990_000),
        (-0.5, -500_000),
        (1e3, 1_000_000_000),
        ("10", 10_000_000),
        ("10.50", 10_500_000),
        ("0.000001", 1),
        ("0.0000010", 1),
        ("-1.5", -1_500_000),
        ("1e2", 100_000_000),
    ],
    ids=repr,
)
def test_dollars_are_read_as_they_were_written(written: float | str, micro: int) -> None:
    assert to_microusd(written) == micro


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, False, [1], {"usd": 1}, Decimal(1), b"1"),
        *("", " ", "ten", "$10", "10,5", "1.2.3", "0x10", "10 USD"),
        *("nan", "NaN", "sNaN", "inf", "-Infinity", float("nan"), float("inf"), float("-inf")),
        *("0.0000001", "1.2345678", 1e-7, "-0.0000005"),
        # Finer than the arithmetic's own 28 digits.
        *("1." + "0" * 40 + "1", "1e-400", "1e-999999999"),
        *("1e999990", "1e999999", "1e999999999", "-1e999999999"),
    ],
    ids=repr,
)
def test_what_is_no_amount_of_dollars_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        to_microusd(written)


@given(st.integers(-MOST, MOST))
def test_what_is_written_as_dollars_is_read_as_the_same(micro: int) -> None:
    written = dollars(micro)
    assert to_microusd(written) == micro
    assert Decimal(written) * 1_000_000 == micro
    assert len(written.partition(".")[2]) == 6


@given(st.integers(0, 10**9).map(lambda cents: cents / 100))
def test_a_number_of_cents_is_never_off_by_a_rounding(amount: float) -> None:
    assert dollars(to_microusd(amount)) == f"{amount:.2f}0000"


@given(st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.from_regex(r"-?\d+(\.\d+)?([eE]-?\d+)?")))
def test_an_amount_is_read_or_refused_and_nothing_else(value: Any) -> None:
    try:
        assert isinstance(to_microusd(value), int)
    except ValueError:
        return


def test_a_new_project_has_the_fields_that_are_given() -> None:
    assert fields_of(NewProject, name="  Shipyard ") == {"name": "Shipyard"}
    budget = {"monthly_usd": "10.50", "total_tokens": 7, "mode": "warn"}
    assert fields_of(NewProject, name="n", budget=budget, allowed_models=["claude-haiku-*"]) == {
        "name": "n",
        "budget": Budget(monthly_microusd=10_500_000, total_tokens=7, mode=BudgetMode.WARN),
        "allowed_models": ("claude-haiku-*",),
    }


@pytest.mark.parametrize("shape", [ProjectChange, KeyChange])
def test_a_change_that_says_nothing_changes_nothing(shape: Shape) -> None:
    assert fields_of(shape) == {}


def test_null_takes_a_bound_away() -> None:
    nothing: dict[str, None] = dict.fromkeys(("budget", "limits", "allowed_models", "expires_at", "profile"))
    assert fields_of(KeyChange, **nothing) == {
        "budget": Budget(),
        "limits": Limits(),
        "allowed_models": (),
        "expires_at": None,
        "profile": None,
    }
    assert fields_of(ProjectChange, budget=None, allowed_models=None) == {"budget": Budget(), "allowed_models": ()}
    assert fields_of(ProjectChange, budget={"monthly_usd": None}) == {"budget": Budget()}


def test_a_new_key_has_the_fields_that_are_given() -> None:
    assert fields_of(NewKey, **NEW_KEY) == {"name": "k"}
    asked = {
        "scopes": ["usage", "messages", "usage"],
        "profile": "agent",
        "limits": {"concurrent": 2},
        "expires_at": "2026-11-21T12:00:00+02:00",
    }
    assert fields_of(NewKey, **NEW_KEY, **asked) == {
        "name": "k",
        "scopes": frozenset([Scope.USAGE, Scope.MESSAGES]),
        "profile": Profile.AGENT,
        "limits": Limits(concurrent=2),
        "expires_at": datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp(),
    }


@pytest.mark.parametrize(
    ("shape", "body", "path"),
    [
        (NewProject, {}, "name"),
        (NewProject, {"name": "  "}, "name"),
        (NewProject, {"name": "x" * 201}, "name"),
        (NewProject, {"name": 3}, "name"),
        (NewProject, {"name": "n", "colour": "blue"}, "colour"),
        (NewProject, {"name": "n", "id": "prj_mine"}, "id"),
        (NewProject, {"name": "n", "budget": {"monthly_usd": -1}}, "budget.monthly_usd"),
        (NewProject, {"name": "n", "budget": {"monthly_usd": "1e999999999"}}, "budget.monthly_usd"),
        (NewProject, {"name": "n", "budget": {"total_usd": 10**12 + 1}}, "budget.total_usd"),
        (NewProject, {"name": "n", "budget": {"total_usd": True}}, "budget.total_usd"),
        (NewProject, {"name": "n", "budget": {"total_tokens": 1.5}}, "budget.total_tokens"),
        (NewProject, {"name": "n", "budget": {"total_tokens": "5"}}, "budget.total_tokens"),
        (NewProject, {"name": "n", "budget": {"total_tokens": -1}}, "budget.total_tokens"),
        (NewProject, {"name": "n", "budget": {"weekly_usd": 1}}, "budget.weekly_usd"),
        (NewProject, {"name": "n", "budget": {"mode": "soft"}}, "budget.mode"),
        (NewProject, {"name": "n", "allowed_models": [""]}, "allowed_models.0"),
        (NewProject, {"name": "n", "allowed_models": ["m"] * 101}, "allowed_models"),
        (ProjectChange, {"name": None}, "name"),
        (NewKey, {"name": "k"}, "project_id"),
        (NewKey, {**NEW_KEY, "scopes": []}, "scopes"),
        (NewKey, {**NEW_KEY, "scopes": ["root"]}, "scopes.0"),
        (NewKey, {**NEW_KEY, "profile": "sudo"}, "profile"),
        (NewKey, {**NEW_KEY, "limits": {"concurrent": 0}}, "limits.concurrent"),
        (NewKey, {**NEW_KEY, "limits": {"requests_per_minute": True}}, "limits.requests_per_minute"),
        (NewKey, {**NEW_KEY, "expires_at": "2026-11-21T12:00:00"}, "expires_at"),
        (NewKey, {**NEW_KEY, "expires_at": "tomorrow"}, "expires_at"),
        # Within the calendar where they were written, and outside of it in UTC.
        (NewKey, {**NEW_KEY, "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        (NewKey, {**NEW_KEY, "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        (KeyChange, {"project_id": "q"}, "project_id"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(shape: Shape, body: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fields_of(shape, **body)
    assert caught.value.path == path


@pytest.mark.parametrize("dollars_", [10**12 + 1, 1e13, "1000000000000.000001"])
def test_too_many_dollars_are_refused_in_dollars(dollars_: float | str) -> None:
    with pytest.raises(InvalidRequest, match=r"at most (1e\+12|1,?000,?000,?000,?000)(?!,?\d)"):
        fields_of(NewProject, name="n", budget={"monthly_usd": dollars_})


def test_a_question_about_routes_needs_a_task() -> None:
    question = read(RouteQuestion, b'{"task_description": "sort this"}')
    assert (question.task_description, question.context_size, question.tools) == ("sort this", 0, 0)
    with pytest.raises(InvalidRequest):
        read(RouteQuestion, b'{"task_description": ""}')


def test_a_moment_is_written_in_utc() -> None:
    assert moment(0.0) == "1970-01-01T00:00:00Z"
    assert moment(1_795_255_200.9) == "2026-11-21T10:00:00Z"
    assert moment(None) is None
