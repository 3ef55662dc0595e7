"""Knows how an alert reaches an address of the operator's, signed and tried again; it must not know when one is raised.

The form is that of Standard Webhooks (https://www.standardwebhooks.com), whose libraries verify it in a line.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from pinnace.core.errors import Misconfigured
from pinnace.core.model.alerts import BudgetAlert
from pinnace.core.ports import Clock

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("pinnace.alerts")

#: Tries of one alert, and the longest wait between two in seconds: about two minutes in all.
ATTEMPTS = 6
LONGEST_WAIT = 60.0
#: Seconds that the receiver may take to answer.
TIMEOUT = 10.0
#: Alerts that may be on their way at once; a receiver that never answers must not fill the memory.
PENDING = 100
#: The specification's bounds for a secret, in bytes.
SHORTEST, LONGEST = 24, 64
PREFIX = "whsec_"
ADDRESS = re.compile(r"https?://[^\s/]+\S*")


class Refused(Exception):
    """The receiver did not take an alert; the message says why, without its address."""


class NoAlerts:
    """`Alerts` that nobody asked for; the log and the metrics have them all the same."""

    def send(self, alert: BudgetAlert) -> None:
        """See `Alerts`."""

    async def aclose(self, grace: float) -> None:
        """See `Alerts`."""


class Webhook:
    """`Alerts` by POST; `first_wait` is the wait before the second try, in seconds, of which a random share is waited.

    Raises:
        Misconfigured: the address or the secret is none.
    """

    def __init__(self, url: str, secret: str, clock: Clock, *, first_wait: float = 2.0) -> None:
        if not ADDRESS.fullmatch(url):
            raise Misconfigured("must be an address such as https://example.com/alerts", key="alerts.webhook_url")
        self._url, self._key, self._clock, self._first_wait = url, read_secret(secret), clock, first_wait
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    def send(self, alert: BudgetAlert) -> None:
        if len(self._tasks) >= PENDING:
            log.error("an alert was dropped: too many are on their way")
            return
        task = asyncio.get_running_loop().create_task(self._deliver(alert))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self, grace: float) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            if late:
                log.error("alerts were not delivered before the server stopped", extra={"alerts": len(late)})
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _deliver(self, alert: BudgetAlert) -> None:
        from tenacity import (  # noqa: PLC0415 - only for who is told something
            AsyncRetrying,
            retry_if_exception_type,
            stop_after_attempt,
            wait_random_exponential,
        )

        # The same through all tries, so that a receiver can tell a repetition.
        message_id, body = f"msg_{secrets.token_hex(12)}", orjson.dumps(event_of(alert, self._clock.now()))
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=self._first_wait, max=LONGEST_WAIT),
            retry=retry_if_exception_type(Refused),
            reraise=True,
        )
        try:
            await retrying(self._post, message_id, body)
        except Refused as refused:
            log.error("an alert could not be delivered", extra={"reason": str(refused), "alert": message_id})
        except Exception:
            log.exception("an alert could not be sent", extra={"alert": message_id})

    async def _post(self, message_id: str, body: bytes) -> None:
        import httpx  # noqa: PLC0415 - only for who is told something

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT)
        moment = str(int(self._clock.now()))
        headers = {
            "content-type": "application/json",
            "user-agent": "pinnace",
            "webhook-id": message_id,
            "webhook-timestamp": moment,
            "webhook-signature": signature(self._key, message_id, moment, body),
        }
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Refused(type(error).__name__) from error
        if not answer.is_success:
            raise Refused(f"status {answer.status_code}")


def event_of(alert: BudgetAlert, now: float) -> dict[str, Any]:
    """The body of a webhook: amounts in dollars are decimal strings, in tokens whole numbers."""
    kind, _, owner_id = alert.account.owner.partition(":")

    def shown(amount: int) -> str | int:
        return f"{amount // 1_000_000}.{amount % 1_000_000:06}" if alert.unit == "usd" else amount

    return {
        "type": "budget.threshold_reached",
        "timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            f"{kind}_id": owner_id,
            "period": alert.account.period,
            "unit": alert.unit,
            "limit": shown(alert.limit),
            "spent": shown(alert.spent),
            "share": alert.share,
        },
    }


def signature(key: bytes, message_id: str, moment: str, body: bytes) -> str:
    """The `webhook-signature` of a message: HMAC-SHA256 over its id, its time and its body."""
    digest = hmac.digest(key, b".".join((message_id.encode(), moment.encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def read_secret(text: str) -> bytes:
    """The key in a secret (`whsec_` and 24 to 64 bytes in base64).

    Raises:
        Misconfigured: it is none.
    """
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise Misconfigured(
            'must be whsec_ and 24 to 64 random bytes in base64: echo "whsec_$(openssl rand -base64 32)" makes one',
            key="alerts.webhook_secret",
        )
    return key
