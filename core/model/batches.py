"""Knows a batch of messages, its items and what became of them; it must not know where they are kept or how they are run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pinnace.core.model.run import Profile

DAY = 86_400.0
#: Seconds after its creation at which what has not been done of a batch is given up.
LIFETIME = DAY
#: Seconds after its creation for which a batch's results are kept.
KEPT = 29 * DAY
#: Seconds after which one that was never ready is nobody's any more.
ABANDONED = 900.0


class Verdict(StrEnum):
    """What became of an item."""

    SUCCEEDED = "succeeded"
    ERRORED = "errored"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One request of a batch: its place (0 is the first), its caller's name, and where its line lies in the batch's file."""

    number: int
    custom_id: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of a batch ended how."""

    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0

    @property
    def done(self) -> int:
        return self.succeeded + self.errored + self.canceled + self.expired

    def same_results(self, other: Counts) -> bool:
        """Whether both are of the same results: items gain results one by one and lose none, so their number says which."""
        return (self.succeeded, self.errored) == (other.succeeded, other.errored)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch; times are seconds since the epoch, `microusd` is what its items cost so far.

    `fingerprint` stands for the request that created it, where that had an `Idempotency-Key`. One that is not `is_ready` is
    still being created: nobody sees it. `results_size` is the size of the file of results, in bytes, once it has ended.
    """

    project_id: str
    id: str
    created_at: float
    expires_at: float
    total: int = 0
    key_id: str | None = None
    profile: Profile = Profile.MESSAGES
    betas: tuple[str, ...] = ()
    api_version: str = ""
    fingerprint: str = ""
    is_ready: bool = False
    cancel_at: float | None = None
    ended_at: float | None = None
    archived_at: float | None = None
    counts: Counts = field(default_factory=Counts)
    microusd: int = 0
    results_size: int = 0

    @property
    def kept_until(self) -> float:
        """When its results are dropped."""
        return self.created_at + KEPT

    def is_due(self, now: float) -> bool:
        """Whether somebody must look after it: end it, drop its results, or drop it."""
        if not self.is_ready:
            return now >= self.created_at + ABANDONED
        if self.ended_at is not None:
            return self.archived_at is None and now >= self.kept_until
        return self.may_end(now)

    def takes(self, now: float) -> bool:
        """Whether an item of it may begin."""
        return self.is_ready and self.cancel_at is None and self.ended_at is None and now < self.expires_at

    def may_end(self, now: float) -> bool:
        """Whether nothing of it will begin any more, so that it ends with what is running."""
        if not self.is_ready or self.ended_at is not None:
            return False
        return self.counts.done >= self.total or self.cancel_at is not None or now >= self.expires_at

    @property
    def left(self) -> Verdict:
        """What becomes of the items that were not done when it ends."""
        return Verdict.EXPIRED if self.cancel_at is None else Verdict.CANCELED


class ClaimState(StrEnum):
    """What somebody is told who wants to run an item."""

    TAKEN = "taken"
    HELD = "held"
    DONE = "done"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim; `tries` is how often the item was begun and not ended well, this time included."""

    state: ClaimState
    tries: int = 0


@dataclass(frozen=True, slots=True)
class ItemResult:
    """A result as it is kept: the JSON of `result` in the API's terms, and what it cost."""

    verdict: Verdict
    document: bytes
    microusd: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """What waits in the queue: an item of a batch, and everything that is needed to find it."""

    project_id: str
    batch_id: str
    item: BatchItem


@dataclass(frozen=True, slots=True)
class Delivery:
    """A task that was handed out for a time; `receipt` says by which handing out."""

    task: Task
    receipt: str
