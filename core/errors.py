"""Knows every way a call can fail, as one tree of facts; it must not know HTTP, Anthropic's or anyone's wire.

::

    PinnaceError
    +-- RequestRejected            the caller must change something
    |   +-- InvalidRequest         a field is wrong; `path` names it
    |   +-- Unauthenticated        no key, or one that is not known
    |   +-- BillingRefused         there is no money for this
    |   |   +-- BudgetExceeded     a budget has not enough left for this call
    |   +-- PermissionRefused      the key is known and may not do this
    |   |   +-- StorageExceeded    a project's files would be more than may be kept
    |   +-- NotFound               no such model, path or object
    |   +-- MethodRefused          the path exists, the method does not
    |   +-- Conflicted             somebody else is at it
    |   +-- RequestTooLarge        more bytes than `limit`
    |   +-- RangeRefused           a part of a file that has no such part
    |   +-- RateLimited            come back after `retry_after` seconds
    +-- UpstreamFailed             the model's API said no; its status, type and message are kept
    +-- RunFailed                  the run broke on this side
    |   +-- CliUnavailable         the Claude Code CLI cannot be started
    |   +-- CliBroke               it died, hung, flooded or spoke garbage
    |   +-- RunTimedOut            it took longer than it may
    |   +-- RunCancelled           somebody stopped it, and the caller is still there
    |   +-- Overloaded             more calls are waiting than the queue holds
    |   +-- StoreFailed            what must be remembered cannot be
    +-- PartMissing                an optional part that this needs is not installed, or is switched off
    +-- Misconfigured              the configuration cannot be served; `key` names the setting

Each error carries fields, so that a renderer chooses the words and the shape (`pinnace.core.wire`). `str(error)` is safe to
show to a caller: it holds no path, no key and no traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class PinnaceError(Exception):
    """The root of the tree; `message` is one sentence that says what is wrong and what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestRejected(PinnaceError):
    """The call is refused before anything ran; the caller must change it."""


class InvalidRequest(RequestRejected):
    """A field has a value that cannot be served.

    `path` is the field in dotted form (`messages.0.content.1.source`), or None when the body as a whole is wrong.
    `details` goes to the client as `error.details`.
    """

    def __init__(self, message: str, *, path: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.details = details


class Unauthenticated(RequestRejected):
    """There is no key, or it is not one that this server knows."""


class BillingRefused(RequestRejected):
    """A budget has nothing left for this call."""


class BudgetExceeded(BillingRefused):
    """A budget has not enough left for this call.

    `owner` (`project:prj_1`), `period` (`2026-11` or `all`) and `unit` (`usd` or `tokens`) name the budget; `limit`, `left`
    and `needed` are in millionths of a dollar or in tokens. `details` goes to the client as `error.details`.
    """

    def __init__(self, *, owner: str, period: str, unit: str, limit: int, left: int, needed: int) -> None:
        whose = owner.partition(":")[0]
        renews = None if period == "all" else _month_after(period)
        until = "It does not renew" if renews is None else f"It renews at {renews}"
        super().__init__(
            f"The {whose}'s {'total' if renews is None else 'monthly'} budget of {_shown(limit, unit)} has "
            f"{_shown(max(0, left), unit)} left, and this call may need {_shown(needed, unit)}. {until}; "
            "ask for less with max_tokens, or have the budget raised."
        )
        self.details: Mapping[str, Any] = {
            "budget": {"of": whose, "period": period, "unit": unit},
            "limit": _plain(limit, unit),
            "left": _plain(max(0, left), unit),
            "needed": _plain(needed, unit),
            "renews_at": renews,
        }


def _month_after(period: str) -> str:
    year, month = (int(part) for part in period.split("-"))
    return f"{year + month // 12:04}-{month % 12 + 1:02}-01T00:00:00Z"


def _plain(amount: int, unit: str) -> str | int:
    return f"{amount // 1_000_000}.{amount % 1_000_000:06}" if unit == "usd" else amount


def _shown(amount: int, unit: str) -> str:
    return f"${_plain(amount, unit)}" if unit == "usd" else f"{amount:,} tokens"


class PermissionRefused(RequestRejected):
    """The key is good, and is not allowed to do this."""


class StorageExceeded(PermissionRefused):
    """A project's files would be more than may be kept; `limit`, `left` and `needed` are in bytes."""

    def __init__(self, *, limit: int, left: int, needed: int) -> None:
        super().__init__(
            f"The project's files may have {limit:,} bytes together; {max(0, left):,} of them are left, and this file needs "
            f"{needed:,}. Delete files that are not needed any more, or have files.quota_mb raised."
        )
        self.limit, self.left, self.needed = limit, max(0, left), needed


class NotFound(RequestRejected):
    """There is no such thing, or it belongs to someone else: the two answer alike."""


class MethodRefused(RequestRejected):
    """The path exists and does not take this method; `allowed` lists those that it takes."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflicted(RequestRejected):
    """The object is in use or in another state; `retry_after` is in seconds when waiting helps."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RequestTooLarge(RequestRejected):
    """The body has more than `limit` bytes."""

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class RangeRefused(RequestRejected):
    """The `Range` that is asked for begins beyond the end of a file of `size` bytes."""

    def __init__(self, *, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and the range that is asked for begins beyond them.")
        self.size = size


class RateLimited(RequestRejected):
    """The key has used up its rate; `retry_after` is in seconds, `meters` is how its limits stand (`model.limits.Meter`)."""

    def __init__(self, message: str, *, retry_after: float, meters: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.meters = meters


class UpstreamFailed(PinnaceError):
    """The model's API refused or broke.

    `status` is its HTTP status, or None when the connection broke before or within an answer; `kind` is the type it
    gave (`overloaded_error`), or None when it gave none; `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        kind: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after


class RunFailed(PinnaceError):
    """The run broke on this side; the request may be good."""


class CliUnavailable(RunFailed):
    """The Claude Code CLI cannot be started here."""


class CliBroke(RunFailed):
    """The CLI died, hung, flooded or spoke garbage in the middle of a run."""


class RunTimedOut(RunFailed):
    """The run took longer than `seconds`."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class RunCancelled(RunFailed):
    """The run was stopped on purpose, by a shutdown or a cancel, while the caller was still there."""


class Overloaded(RunFailed):
    """As many calls wait as may wait; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreFailed(RunFailed):
    """A store cannot be read or written, so nothing can be admitted: the disk is full, or a service is away."""


class PartMissing(PinnaceError):
    """What is asked for needs a part of pinnace that is not installed here, or that is switched off; the message says which."""


class Misconfigured(PinnaceError):
    """The configuration cannot be served; `key` is the setting as its user writes it."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.key = key
