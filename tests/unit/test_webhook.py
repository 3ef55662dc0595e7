"""Knows that an alert reaches a receiver that verifies it, is tried again with the same id, and holds nobody up."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from typing import Any

import pytest
import standardwebhooks
from receiver import receiving

from pinnace.core.adapters.webhook import PENDING, Webhook
from pinnace.core.errors import Misconfigured
from pinnace.core.model.alerts import BudgetAlert
from pinnace.core.model.ledger import Account

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-nine bytes").decode()
DOLLARS = BudgetAlert(Account("project:prj_1", "2026-11"), "usd", 10_000_000, 8_100_000, 0.8)
TOKENS = BudgetAlert(Account("key:key_1", "all"), "tokens", 1_000, 1_200, 1.0)


class RealClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


async def deliver(url: str, *alerts: BudgetAlert, first_wait: float = 0.001, grace: float = 10.0) -> None:
    webhook = Webhook(url, SECRET, RealClock(), first_wait=first_wait)
    for alert in alerts:
        webhook.send(alert)
    await webhook.aclose(grace)


def verified(came: tuple[dict[str, str], bytes]) -> dict[str, Any]:
    headers, body = came
    event: dict[str, Any] = standardwebhooks.Webhook(SECRET).verify(body, headers)
    return event


async def test_a_receiver_can_verify_what_it_gets() -> None:
    with receiving() as receiver:
        await deliver(receiver.url, DOLLARS, TOKENS)
    events = {event["data"]["unit"]: event for event in map(verified, receiver.came)}
    assert events["usd"]["type"] == "budget.threshold_reached"
    assert events["usd"]["data"] == {
        "project_id": "prj_1",
        "period": "2026-11",
        "unit": "usd",
        "limit": "10.000000",
        "spent": "8.100000",
        "share": 0.8,
    }
    assert events["tokens"]["data"] | {"key_id": "key_1", "limit": 1_000, "spent": 1_200} == events["tokens"]["data"]


async def test_what_was_changed_on_its_way_is_not_verified() -> None:
    with receiving() as receiver:
        await deliver(receiver.url, DOLLARS)
    headers, body = receiver.came[0]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified((headers, body.replace(b"8.1", b"0.1")))


async def test_an_alert_that_is_not_taken_is_sent_again_under_the_same_id() -> None:
    with receiving(500, 302, 429, 200) as receiver:
        await deliver(receiver.url, DOLLARS)
    assert len(receiver.came) == 4
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1
    assert len({body for _, body in receiver.came}) == 1
    verified(receiver.came[-1])


async def test_a_receiver_that_never_takes_it_is_given_up_and_its_address_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiving(503) as receiver:
        await deliver(receiver.url, DOLLARS)
    assert len(receiver.came) == 6
    (record,) = [record for record in caplog.records if record.name == "pinnace.alerts"]
    assert record.__dict__["reason"] == "status 503"
    assert "hidden" not in json.dumps(record.__dict__, default=str)


async def test_a_receiver_that_is_not_there_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    await deliver(f"http://127.0.0.1:{port}/", DOLLARS)
    assert [record.__dict__["reason"] for record in caplog.records if record.name == "pinnace.alerts"] == [
        "ConnectError"
    ]


async def test_one_that_hangs_holds_no_one_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        webhook = Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", SECRET, RealClock())
        began = time.monotonic()
        for _ in range(PENDING + 5):
            webhook.send(DOLLARS)
        assert time.monotonic() - began < 5
        await webhook.aclose(0.05)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told.count("an alert was dropped: too many are on their way") == 5
    assert told[-1] == "alerts were not delivered before the server stopped"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", "no-prefix-" + "a" * 40])
def test_a_secret_that_is_none_is_refused_with_how_to_make_one(secret: str) -> None:
    with pytest.raises(Misconfigured, match="openssl rand") as refused:
        Webhook("https://example.com", secret, RealClock())
    assert refused.value.key == "alerts.webhook_secret"


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "https://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        Webhook(url, SECRET, RealClock())
    assert refused.value.key == "alerts.webhook_url"
