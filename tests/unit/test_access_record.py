"""Knows what the access log keeps of a request, however that ended, and what it cuts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pinnace.core.adapters.clock import SystemClock
from pinnace.core.errors import PartMissing
from pinnace.core.model.access import ORDINARY, Key, Principal, Project
from pinnace.core.model.run import Outcome, Profile
from pinnace.core.model.usage import Use
from pinnace.core.ports import AccessLog
from pinnace.core.sections import AccessLogSettings
from pinnace.core.settings import Settings
from pinnace.core.stores.access_log import open_access_log
from pinnace.core.usecases.call import Receipt
from pinnace.handlers.access_record import record_of
from pinnace.handlers.calling import account
from pinnace.handlers.context import RequestContext

PROJECT = Project("prj_1", "One", created_at=1.0)
KEY = Key("key_1", "prj_1", "One", "digest", "hint", 1.0)


def context(**fields: object) -> RequestContext:
    made = RequestContext("POST", "/v1/messages", began=10.0)
    made.route, made.status = "/v1/messages", 200
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({}, 200, None),
        ({"status": 529, "error": "overloaded_error"}, 529, "overloaded_error"),
        ({"error": "api_error", "cut": True}, 200, "api_error"),
        ({"cut": True}, 200, "client_left"),
        ({"status": 0, "cut": True}, 499, "client_left"),
        ({"status": 0}, 499, "client_left"),
        ({"status": 503}, 503, "api_error"),
        ({"status": 400}, 400, "invalid_request_error"),
    ],
)
def test_a_request_has_an_error_exactly_where_it_ended_with_one(
    fields: dict[str, object], status: int, error: str | None
) -> None:
    made = record_of(context(**fields), 1.0, 0.5)
    assert (made.status, made.error) == (status, error)


def test_what_a_request_that_is_no_call_has_not_is_none() -> None:
    made = record_of(context(), 1.0, 0.01234)
    assert (made.project_id, made.key_id, made.model, made.profile) == (None, None, None, None)
    assert (made.tokens, made.cost_microusd, made.first_delta_ms, made.user_agent) == (None, None, None, None)
    assert (made.at, made.duration_ms) == (1.0, 12.3)


def test_a_call_has_what_it_used_and_whose_it_is() -> None:
    outcome = Outcome({"input_tokens": 1}, 450)
    principal = Principal(PROJECT, ORDINARY, KEY)
    called = context(
        outcome=outcome, principal=principal, project="prj_1", profile=Profile.MESSAGES, first_delta=10.25, cache="hit"
    )
    made = record_of(called, 1.0, 0.5)
    assert (made.project_id, made.key_id, made.profile, made.cache) == ("prj_1", "key_1", "messages", "hit")
    assert (made.tokens, made.cost_microusd, made.first_delta_ms) == ({"input_tokens": 1}, 450, 250.0)


def test_a_cost_that_is_not_known_is_none_and_not_zero() -> None:
    made = record_of(context(outcome=Outcome(), cost_known=False), 1.0, 0.5)
    assert (made.tokens, made.cost_microusd) == ({}, None)


def test_a_callers_texts_are_cut() -> None:
    made = record_of(context(user_agent="a" * 300, model="m" * 300, method="M" * 300, error="e" * 300), 1.0, 0.5)
    assert {len(text or "") for text in (made.user_agent, made.model, made.method, made.error)} == {200}


def test_calls_of_one_request_add_up() -> None:
    used = Outcome({"input_tokens": 10, "output_tokens": 1}, calls=1)
    receipt = Receipt(model="claude-x", outcome=used, used={"claude-x": Use({"input_tokens": 10}, 7)})
    together = context()
    account([receipt, receipt], together)
    assert together.outcome == Outcome({"input_tokens": 20, "output_tokens": 2}, cost_microusd=14, calls=2)
    assert (together.model, together.cost_known) == ("claude-x", True)
    account([receipt, replace(receipt, model="claude-y", cost_known=False)], together)
    assert (together.model, together.cost_known) == (None, False)


def test_a_log_that_is_off_takes_records_and_answers_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, access_log=AccessLogSettings(enabled=False))
    with pytest.raises(PartMissing, match=r"access_log\.enabled"):
        asyncio.run(counted(open_access_log(settings, SystemClock())))
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_keeps_its_log_there(tmp_path: Path) -> None:
    log = open_access_log(Settings(data_dir=tmp_path, store="memory"), SystemClock())
    assert asyncio.run(counted(log)) == 1
    assert list(tmp_path.iterdir()) == []


async def counted(log: AccessLog) -> int:
    """How many requests there are after one was added."""
    log.add(record_of(context(), 1.0, 0.5))
    try:
        return (await log.stats(None, "0001-01-01", "9999-12-31")).requests
    finally:
        await log.aclose()
