"""Knows what knowing, charging and limiting callers needs; it must not know an adapter.

Each need is a Protocol with its contract in prose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from pinnace.core.model.access import AuditEntry, Key, Project
from pinnace.core.model.alerts import BudgetAlert
from pinnace.core.model.ledger import Account, Amount, Balance, Cap, Reservation
from pinnace.core.model.limits import Lease, Meter, Take
from pinnace.core.model.usage import UsageRecord, UsageTotal


class Directory(Protocol):
    """Keeps projects, their keys, and an audit trail of what administrators did.

    Every method that takes a `project_id` sees that project alone: a key of another one is not there. A write is seen by
    every read that begins after it, in any process. Lists are in the order of creation, oldest first; `after` is the id of
    the last one already seen, and `limit` is how many come at most.
    """

    async def add_project(self, project: Project) -> bool:
        """Keep a new project; False where the id is taken."""
        ...

    async def project(self, project_id: str) -> Project | None: ...

    async def projects(self, limit: int, after: str | None = None) -> Sequence[Project]: ...

    async def change_project(self, project: Project) -> bool:
        """Replace a project by its id; False where there is none."""
        ...

    async def add_key(self, key: Key) -> bool:
        """Keep a new key; False where its id or digest is taken, or its project is not there."""
        ...

    async def find_key(self, digest: str) -> Key | None:
        """Find a key by the digest of its secret, in whichever project."""
        ...

    async def any_key(self, key_id: str) -> Key | None:
        """Find a key by its id, in whichever project: for administrators alone."""
        ...

    async def key(self, project_id: str, key_id: str) -> Key | None: ...

    async def keys(self, project_id: str, limit: int, after: str | None = None) -> Sequence[Key]: ...

    async def change_key(self, key: Key) -> bool:
        """Replace a key by its project and id, `last_used_at` apart; False where there is none. A revoked one stays revoked."""
        ...

    async def touch_key(self, project_id: str, key_id: str, at: float) -> None:
        """Note a use; an earlier moment than the one that is kept changes nothing."""

    async def has_keys(self) -> bool:
        """Whether any key was ever made."""
        ...

    async def record(self, entry: AuditEntry) -> None: ...

    async def audit(self, project_id: str | None, limit: int) -> Sequence[AuditEntry]:
        """The latest acts first, of one project or of all."""
        ...


class Ledger(Protocol):
    """Reserves and spends. Every operation is atomic over all the accounts that it touches, between threads and processes.

    At no instant does an account with a hard cap hold more than the cap that the last reservation was made under: spent and
    reserved together. What is settled may be more than what was reserved, and is counted in full.
    """

    async def reserve(self, reservation: Reservation, caps: Sequence[Cap]) -> None:
        """Take the amount from every account, or from none.

        `caps` are in the order of `reservation.accounts`, one for each. Raises `BudgetExceeded` with the first cap that does
        not admit it. An id that is reserved already is not reserved again.
        """

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        """Put what was used in the place of what was reserved, exactly once.

        Gives the balances afterwards, in the order of the accounts, or None where there is no such reservation (any more).
        """
        ...

    async def balances(self, accounts: Sequence[Account]) -> Sequence[Balance]:
        """What each account holds; one that was never used holds nothing."""
        ...

    async def expired(self, now: float) -> Sequence[Reservation]:
        """The open reservations that expired before `now`, whose holders will never say what they used; the oldest first."""
        ...


class Limiter(Protocol):
    """Limits how much is taken a minute and how many calls run at once.

    Every operation is atomic over all that it touches, between threads and processes. Time comes from the caller's clock.
    """

    async def enter(self, takes: Sequence[Take], now: float, lease: Lease | None = None) -> Sequence[Meter]:
        """Take from every limit and occupy a place, or do nothing of it.

        Gives how each limit stands afterwards. Raises `RateLimited` with the longest wait.
        """
        ...

    async def leave(self, corrections: Sequence[tuple[Take, int]], now: float, lease: Lease | None = None) -> None:
        """Free a place, and put what was used in the place of what each take took. Doing it twice frees nothing more."""


class UsageStore(Protocol):
    """Keeps what calls used. Records are kept once per `request_id`; totals are counters, never sums over records."""

    async def add(self, record: UsageRecord) -> None: ...

    async def totals(self, project_id: str, first: str, last: str, key_id: str | None = None) -> Sequence[UsageTotal]:
        """The totals of the days from `first` to `last`, both included, by day, key and model."""
        ...

    async def records(self, project_id: str, limit: int) -> Sequence[UsageRecord]:
        """The latest calls first."""
        ...


#: How long a prompt cache lives; writing to one costs more than input, and more for the longer one.
CacheLife = Literal["5m", "1h"]


class Prices(Protocol):
    """Knows what models cost, in millionths of a dollar; None where no price is known."""

    @property
    def as_of(self) -> str:
        """Which list it is, and of when."""
        ...

    def cost(self, model: str, usage: Mapping[str, int]) -> int | None:
        """The cost of what was used; `usage` has the API's names."""
        ...

    def bound(self, model: str, input_tokens: int, output_tokens: int, *, cache: CacheLife | None) -> int | None:
        """The most that a call with at most so many tokens can cost; `cache` is the longest-lived one that it may write to."""
        ...

    def context_window(self, model: str) -> int:
        """How many tokens the model reads at most; a large number where that is not known."""
        ...


class Alerts(Protocol):
    """Tells somebody outside that a budget reached a threshold.

    `send` hands an alert over at once and never fails; what cannot be delivered is logged. `aclose` gives what is still on
    its way `grace` seconds.
    """

    def send(self, alert: BudgetAlert) -> None: ...

    async def aclose(self, grace: float) -> None: ...
