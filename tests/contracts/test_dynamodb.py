"""Knows what is promised of DynamoDB beyond the contracts: few round trips, patience with conflicts, one kind of failure."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from stores import dynamodb_table
from types_boto3_dynamodb import DynamoDBClient

from pinnace.core.adapters.dynamodb.directory import DynamoDirectory
from pinnace.core.adapters.dynamodb.items import Put
from pinnace.core.adapters.dynamodb.ledger import DynamoLedger
from pinnace.core.adapters.dynamodb.limiter import DynamoLimiter
from pinnace.core.adapters.dynamodb.recent import Recent
from pinnace.core.adapters.dynamodb.session import ATTEMPTS, Session
from pinnace.core.adapters.dynamodb.table import Table, create_table
from pinnace.core.adapters.dynamodb.usage import DynamoUsageStore
from pinnace.core.errors import BudgetExceeded, RateLimited, StoreFailed
from pinnace.core.model.access import Key, Project
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.model.limits import Lease, Take
from pinnace.core.model.usage import UsageRecord, Use

NOW = 1_800_000_000.0
PROJECT = Project("prj_1", "One", created_at=1.0)
KEY = Key("key_1", "prj_1", "One", digest="digest", hint="abcd", created_at=2.0)
ACCOUNTS = tuple(Account(owner, period) for owner in ("project:prj_1", "key:key_1") for period in ("2027-01", "all"))
CAPS = [Cap(account, 1_000_000, 1_000_000) for account in ACCOUNTS]
TAKES = [Take("key_1", kind, 60, 2) for kind in ("requests", "input-tokens", "output-tokens")]
LEASE = Lease("key_1", "call_1", 3, NOW + 600)


def reservation(name: str = "r1", amount: int = 10) -> Reservation:
    return Reservation(name, Amount(amount, amount), ACCOUNTS, NOW + 600)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
async def table(tmp_path: Path, asked: list[str]) -> AsyncIterator[Table]:
    opened = dynamodb_table(tmp_path, asked.append)
    yield opened
    await opened.aclose()


class Answers:
    """A client that gives prepared answers, the last of them for ever."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    def __getattr__(self, operation: str) -> Callable[..., object]:
        return self._answer

    def _answer(self, **_request: object) -> object:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        return None


def refusal(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "TransactWriteItems")


def conflict(reason: str = "TransactionConflict") -> ClientError:
    return refusal("TransactionCanceledException", "None", reason)


def answering(waits: list[float], *answers: object) -> Table:
    return Table("any", lambda: cast("DynamoDBClient", Answers(*answers)), sleep=waits.append)


async def test_a_call_takes_four_round_trips(table: Table, asked: list[str]) -> None:
    directory, limiter, ledger = DynamoDirectory(table), DynamoLimiter(table), DynamoLedger(table)
    await directory.add_project(PROJECT)
    await directory.add_key(KEY)
    for number in range(3):
        asked.clear()
        assert await directory.find_key("digest") == KEY
        await limiter.enter(TAKES, NOW, replace(LEASE, id=f"call_{number}"))
        await ledger.reserve(reservation(f"r{number}"), CAPS)
        spent = 7 * (number + 1)
        assert await ledger.settle(f"r{number}", Amount(7, 7)) == [Balance(Amount(spent, spent), Amount())] * 4
        assert asked == ["GetItem", "UpdateItem", "TransactWriteItems", "TransactWriteItems"]


async def test_what_follows_a_call_takes_one_round_trip_each(table: Table, asked: list[str]) -> None:
    directory, limiter, usage = DynamoDirectory(table), DynamoLimiter(table), DynamoUsageStore(table)
    await directory.add_project(PROJECT)
    await directory.add_key(KEY)
    await directory.find_key("digest")
    await limiter.enter(TAKES, NOW, LEASE)
    used = {"claude-x": Use({"input_tokens": 1}, 5), "claude-y": Use({"input_tokens": 1}, 5)}
    record = UsageRecord("req_1", NOW, "prj_1", "key_1", "claude-x", "messages", "/", 200, None, used, 0.1)
    asked.clear()
    await limiter.leave([(take, 1) for take in TAKES], NOW, LEASE)
    await directory.touch_key("prj_1", "key_1", NOW)
    await usage.add(record)
    assert asked == ["UpdateItem", "UpdateItem", "TransactWriteItems"]


async def test_balances_are_right_where_another_process_spends_too(table: Table, asked: list[str]) -> None:
    here, there = DynamoLedger(table), DynamoLedger(table)
    for number in range(4):
        for ledger in (here, there):
            await ledger.reserve(reservation(f"{number}-{id(ledger)}"), CAPS)
    for number in range(4):
        for step, ledger in enumerate((here, there), start=1):
            asked.clear()
            settled = await ledger.settle(f"{number}-{id(ledger)}", Amount(7, 3))
            settlements = 2 * number + step
            assert settled is not None
            assert [one.spent for one in settled] == [Amount(7 * settlements, 3 * settlements)] * 4
            assert len(asked) <= 2


async def test_another_process_settles_what_this_one_reserved(table: Table) -> None:
    await DynamoLedger(table).reserve(reservation(), CAPS)
    there = DynamoLedger(table)
    assert await there.settle("r1", Amount(3, 3)) is not None
    assert await there.settle("r1", Amount(3, 3)) is None
    assert await there.balances(ACCOUNTS) == [Balance(Amount(3, 3), Amount())] * 4


async def test_the_first_budget_in_the_way_is_named_without_another_round_trip(table: Table, asked: list[str]) -> None:
    ledger = DynamoLedger(table)
    await ledger.reserve(reservation("r1", 8), CAPS)
    asked.clear()
    with pytest.raises(BudgetExceeded) as caught:
        await ledger.reserve(reservation("r2", 8), [CAPS[0], *(replace(cap, tokens=10) for cap in CAPS[1:])])
    assert caught.value.details["budget"] == {"of": "project", "period": "all", "unit": "tokens"}
    assert caught.value.details["left"] == 2
    assert asked == ["TransactWriteItems"]


async def test_more_accounts_than_one_read_takes_are_read(table: Table) -> None:
    ledger = DynamoLedger(table)
    await ledger.reserve(reservation(), CAPS)
    many = [*(Account(f"key:{number}", "all") for number in range(150)), ACCOUNTS[0], ACCOUNTS[0]]
    held = await ledger.balances(many)
    assert held == [Balance()] * 150 + [Balance(Amount(), Amount(10, 10))] * 2


async def test_more_items_than_one_read_takes_are_read(table: Table) -> None:
    wheres = [("many", f"{number:03}") for number in range(120)]
    for half in (wheres[:60], wheres[60:]):
        await table.run(_putting(half))
    found = await table.run(lambda session: session.get_many([*wheres, ("many", "none")]))
    assert sorted(found) == wheres
    assert len(await table.run(lambda session: session.query("many", limit=100))) == 100


def _putting(wheres: list[tuple[str, str]]) -> Callable[[Session], None]:
    return lambda session: session.transact(*(Put(where, {}) for where in wheres))


async def test_takes_under_several_names_are_taken_together_or_not_at_all(table: Table) -> None:
    limiter = DynamoLimiter(table)
    takes = [Take("project", "requests", 60, 1), Take("key", "requests", 2, 1)]
    lease = Lease("places", "call", 1, NOW + 60)
    meters = await limiter.enter(takes, NOW, lease)
    assert [meter.remaining for meter in meters] == [59, 1]
    with pytest.raises(RateLimited):
        await DynamoLimiter(table).enter(takes, NOW, replace(lease, id="other"))
    await limiter.leave([(takes[0], 11)], NOW, lease)
    await DynamoLimiter(table).leave([], NOW, lease)
    meters = await DynamoLimiter(table).enter(takes, NOW, replace(lease, id="other"))
    assert [meter.remaining for meter in meters] == [48, 0]


async def test_places_that_expired_are_removed_where_they_are_in_the_way(table: Table) -> None:
    limiter = DynamoLimiter(table)
    for number in range(100):
        await limiter.enter([], NOW, Lease("key", f"lost_{number}", 100, NOW + 10))
    for number in range(100):
        await DynamoLimiter(table).enter([], NOW + 20, Lease("key", f"call_{number}", 100, NOW + 60))
    with pytest.raises(RateLimited):
        await limiter.enter([], NOW + 20, Lease("key", "one more", 100, NOW + 60))


async def test_a_place_that_is_occupied_twice_by_one_call_is_one(table: Table) -> None:
    for limiter in (DynamoLimiter(table), DynamoLimiter(table)):
        await limiter.enter([], NOW, replace(LEASE, places=2))
    await limiter.enter([], NOW, replace(LEASE, id="call_2", places=2))
    await limiter.leave([], NOW, LEASE)
    await limiter.enter([], NOW, replace(LEASE, id="call_3", places=2))


async def test_a_call_may_use_as_many_models_as_a_transaction_holds(table: Table) -> None:
    usage = DynamoUsageStore(table)
    used = {f"model#{number}": Use({"output_tokens": number, "of another kind": 1}) for number in range(98)}
    await usage.add(UsageRecord("r", NOW, "prj_1", None, "m", "messages", "/", 200, None, used, 0.1))
    totals = await usage.totals("prj_1", "2027-01-15", "2027-01-15")
    assert sum(total.use.total_tokens for total in totals) == sum(range(98))
    assert {total.model for total in totals} == set(used)


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError"])
async def test_a_conflict_is_tried_again_after_a_wait(reason: str) -> None:
    waits: list[float] = []
    table = answering(waits, conflict(reason), conflict(reason), {})
    await DynamoLedger(table).reserve(reservation(), CAPS)
    await table.aclose()
    assert len(waits) == 2


async def test_conflicts_without_end_are_a_failure_of_the_store() -> None:
    waits: list[float] = []
    table = answering(waits, conflict())
    with pytest.raises(StoreFailed):
        await DynamoLedger(table).reserve(reservation(), CAPS)
    await table.aclose()
    assert len(waits) == ATTEMPTS - 1
    assert 0 <= sum(waits) < 6


@pytest.fixture(
    params=[
        EndpointConnectionError(endpoint_url="http://127.0.0.1"),
        refusal("ResourceNotFoundException"),
        refusal("AccessDeniedException"),
        refusal("TransactionCanceledException", "None", "ValidationError"),
    ],
    ids=str,
)
def broken(request: pytest.FixtureRequest) -> Table:
    return answering([], request.param)


async def test_what_botocore_raises_is_a_failure_of_the_store(broken: Table) -> None:
    for work in (
        lambda: DynamoDirectory(broken).find_key("digest"),
        lambda: DynamoDirectory(broken).projects(10),
        lambda: DynamoDirectory(broken).change_project(PROJECT),
        lambda: DynamoLedger(broken).reserve(reservation(), CAPS),
        lambda: DynamoLedger(broken).balances(ACCOUNTS),
        lambda: DynamoLimiter(broken).enter(TAKES, NOW),
    ):
        with pytest.raises(StoreFailed):
            await work()
    await broken.aclose()


async def test_a_client_that_cannot_be_made_is_a_failure_of_the_store() -> None:
    def connect() -> DynamoDBClient:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    table = Table("any", connect)
    with pytest.raises(StoreFailed):
        await DynamoLedger(table).balances(ACCOUNTS)
    await table.aclose()


async def test_a_table_is_opened_again_after_it_was_closed(table: Table) -> None:
    directory = DynamoDirectory(table)
    for _ in range(2):
        assert await directory.project("prj_1") is None
        await table.aclose()


def test_what_was_remembered_longest_ago_is_forgotten() -> None:
    recent: Recent[int] = Recent(most=2)
    for number, name in enumerate("abac"):
        recent.put(name, number)
    assert [recent.get(name) for name in "abc"] == [2, None, 3]


def test_the_page_makes_the_table_that_the_tests_do() -> None:
    made: dict[str, Any] = {}

    class Noting:
        def create_table(self, **request: Any) -> None:
            made.update(request)

    create_table(cast("DynamoDBClient", Noting()), "pinnace")
    page = (Path(__file__).resolve().parents[2] / "docs" / "dynamodb.md").read_text()
    block = next(found for found in page.split("```") if "create-table" in found)
    words = shlex.split(block.replace("\\\n", " ").splitlines()[1])
    options: dict[str, list[Any]] = {}
    for word in words[3:]:
        if word.startswith("--"):
            options[word] = []
        else:
            pairs = [pair.split("=") for pair in word.split(",")] if "=" in word else None
            options[list(options)[-1]].append(dict(pairs) if pairs else word)
    assert options == {
        "--table-name": ["pinnace"],
        "--billing-mode": [made["BillingMode"]],
        "--attribute-definitions": made["AttributeDefinitions"],
        "--key-schema": made["KeySchema"],
    }
