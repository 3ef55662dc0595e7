"""Knows in which order a call is admitted, run, paid for and written down, and that nothing is kept however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from house import MODEL, SAID, USED, House, build_house

from pinnace.core.errors import (
    BudgetExceeded,
    CliBroke,
    Overloaded,
    PermissionRefused,
    PinnaceError,
    RateLimited,
    StoreFailed,
    UpstreamFailed,
)
from pinnace.core.model.access import Budget, Limits
from pinnace.core.model.ledger import Amount
from pinnace.core.model.run import Profile
from pinnace.core.model.usage import Use
from pinnace.core.usecases.call import Call, Receipt


@pytest.fixture
def house() -> House:
    return build_house()


async def failing(*_given: Any) -> None:
    raise StoreFailed("The disk is full.")


async def test_a_call_takes_its_limits_then_its_money_then_runs_and_gives_back_in_turn(house: House) -> None:
    receipt = Receipt()
    assert await house.serve(house.call(), receipt=receipt) == list(SAID)
    assert house.journal == ["limits", "money", "run", "left", "settled", "place given back", "record"]
    assert receipt.amount == Amount(70, 7)
    assert [meter.kind for meter in receipt.meters] == ["requests", "tokens", "input-tokens", "output-tokens"]
    await house.assert_given_back(7)


async def test_what_a_call_used_is_written_down_once(house: House) -> None:
    await house.serve(house.call())
    record = await house.record()
    assert (record.status, record.error, record.model, record.key_id) == (200, None, MODEL, "k")
    assert record.by_model == {MODEL: Use(USED, 70)}
    assert record.cost_known
    assert record.first_delta is not None


async def test_an_alias_is_written_down_by_its_models_id(house: House) -> None:
    for number, name in enumerate(("haiku", "auto")):
        await house.serve(house.call(number, model=name))
    assert [record.model for record in await house.usage.records("p", 10)] == [MODEL, MODEL]


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (UpstreamFailed("busy", status=529, kind="overloaded_error"), 529, "overloaded_error"),
        (CliBroke("gone"), 500, "api_error"),
        (Overloaded("full", retry_after=1.0), 529, "overloaded_error"),
        (RuntimeError("a bug"), 500, "api_error"),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
async def test_a_call_that_fails_gives_everything_back(
    house: House, failure: Exception, status: int, kind: str, after: int
) -> None:
    house.runner.lines = [*SAID[:after], failure]
    said: list[dict[str, Any]] = []
    with pytest.raises(type(failure)):
        await house.serve(house.call(), said)
    assert said == list(SAID[:after])
    record = await house.record()
    assert (record.status, record.error, record.used()) == (status, kind, {MODEL: Use(USED, 70)})
    assert house.journal[-3:] == ["settled", "place given back", "record"]
    await house.assert_given_back(7)


async def test_a_caller_who_leaves_is_written_down_and_everything_is_given_back(house: House) -> None:
    house.runner.lines = [*SAID, None]
    events = house.stream(house.call())
    assert await anext(events) == SAID[0]
    await events.aclose()
    record = await house.record()
    assert (record.status, record.error, record.by_model) == (499, "client_left", {MODEL: Use(USED, 70)})
    assert house.journal[-4:] == ["left", "settled", "place given back", "record"]
    await house.assert_given_back(7)


@pytest.mark.parametrize("said", [0, 1])
async def test_a_call_that_is_cancelled_is_written_down_and_everything_is_given_back(house: House, said: int) -> None:
    house.runner.lines = [*SAID[:said], None]
    heard: list[dict[str, Any]] = []
    listening = asyncio.create_task(house.serve(house.call(), heard))
    await house.runner.hanging.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert heard == list(SAID[:said])
    assert (await house.record()).status == 499
    await house.assert_given_back(7)


async def refused(house: House, call: Call, kind: type[PinnaceError]) -> None:
    with pytest.raises(kind):
        await house.serve(call)
    assert "run" not in house.journal


async def test_a_call_beyond_its_budget_gives_its_place_back_and_runs_nothing(house: House) -> None:
    await refused(house, house.call(budget=Budget(monthly_microusd=10)), BudgetExceeded)
    assert house.journal == ["limits", "money", "place given back", "record"]
    record = await house.record()
    assert (record.status, record.error, record.by_model) == (402, "billing_error", {})
    await house.assert_given_back(0)


async def test_a_call_beyond_its_limits_asks_for_no_money_and_says_how_they_stand(house: House) -> None:
    house.limits = Limits(requests_per_minute=1)
    await house.serve(house.call(1))
    house.journal.clear()
    receipt = Receipt()
    with pytest.raises(RateLimited):
        await house.serve(house.call(2), receipt=receipt)
    assert house.journal == ["limits", "record"]
    assert [(meter.kind, meter.remaining) for meter in receipt.meters] == [("requests", 0)]
    assert [record.status for record in await house.usage.records("p", 10)] == [429, 200]


async def test_a_model_that_the_key_may_not_use_is_refused_before_anything_is_taken(house: House) -> None:
    call = house.call()
    project = replace(call.principal.project, allowed_models=("claude-y",))
    await refused(house, replace(call, principal=replace(call.principal, project=project)), PermissionRefused)
    assert house.journal == ["record"]
    assert (await house.record()).status == 403


async def test_a_second_call_waits_for_nothing_and_is_refused_while_the_only_place_is_taken(house: House) -> None:
    first = house.stream(house.call(1))
    await anext(first)
    with pytest.raises(RateLimited):
        await house.serve(house.call(2))
    await first.aclose()
    assert await house.serve(house.call(3)) == list(SAID)
    await house.assert_given_back(14)


async def test_a_call_without_a_key_has_no_limits(house: House) -> None:
    call = house.call()
    call = replace(call, principal=replace(call.principal, key=None))
    assert await house.serve(call) == list(SAID)
    assert house.journal == ["money", "run", "left", "settled", "record"]
    assert (await house.record()).key_id is None


async def test_an_agent_pays_for_each_of_its_calls(house: House) -> None:
    house.runner.calls, house.runner.lines = 3, []
    await house.serve(house.call(profile=Profile.AGENT))
    assert house.journal.count("money") == house.journal.count("settled") == 3
    assert (await house.record()).by_model == {MODEL: Use({kind: 3 * count for kind, count in USED.items()}, 210)}
    await house.assert_given_back(21)


async def test_an_agent_that_paid_no_toll_is_charged_for_its_run(house: House) -> None:
    house.runner.lines = []
    await house.serve(house.call(profile=Profile.AGENT))
    assert house.journal == ["limits", "run", "left", "money", "settled", "place given back", "record"]
    await house.assert_given_back(7)


async def test_an_agent_whose_money_ends_has_paid_for_what_it_did(house: House) -> None:
    house.runner.calls, house.runner.lines = 100, []
    budget = Budget(monthly_tokens=150)
    with pytest.raises(BudgetExceeded):
        await house.serve(house.call(profile=Profile.AGENT, budget=budget))
    record = await house.record()
    spent = record.by_model[MODEL].total_tokens
    assert (record.status, record.error) == (402, "billing_error")
    assert 0 < spent <= 150
    await house.assert_given_back(spent)


@pytest.mark.parametrize(
    ("store", "operation", "told"),
    [
        ("ledger", "settle", "a call was not settled, so all that it reserved counts"),
        ("limiter", "leave", "a limit was not given back"),
        ("usage", "add", "a call was not written down"),
    ],
)
async def test_an_answer_that_was_paid_for_is_given_although_a_store_fails_after_it(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    store: str,
    operation: str,
    told: str,
) -> None:
    monkeypatch.setattr(getattr(house, store), operation, failing)
    assert await house.serve(house.call()) == list(SAID)
    (line,) = [record for record in caplog.records if record.name == "pinnace.store"]
    assert (line.message, vars(line)["reason"]) == (told, "The disk is full.")


async def test_what_could_not_be_settled_counts_in_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.ledger, "settle", failing)
    await house.serve(house.call())
    monkeypatch.undo()
    (lost,) = await house.ledger.expired(house.calls.clock.now() + 100.0)
    assert lost.amount.tokens >= 7
