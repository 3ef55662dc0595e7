"""Knows what is known of a request while it is served, and how log lines get it; it must not know an endpoint."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from pinnace.core.model.access import Principal
from pinnace.core.model.limits import Meter
from pinnace.core.model.run import Outcome, Profile
from pinnace.core.wire.anthropic.errors import RenderedError, render

#: The route of what has none.
UNKNOWN = "unknown"
#: A caller's own id goes into log lines and headers, so it may hold nothing that means something there.
_PLAIN = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True)
class RequestContext:
    """One request; what is not known yet is empty.

    `request_id` is ours (`req_…`) and stands in errors; `client_id` is the caller's `x-request-id`, or the same.
    `route` is the template of the path (`/v1/models/{model_id}`). Times are monotonic seconds, of which `first_byte` may be a
    ping's and `first_delta` is the model's. `refusals` renders errors in the shape of the client that the path is for.
    """

    method: str
    path: str
    began: float
    request_id: str = field(default_factory=lambda: f"req_{secrets.token_hex(12)}")
    client_id: str = ""
    prefix: str = ""
    prefix_profile: Profile | None = None
    profile: Profile | None = None
    project: str | None = None
    model: str | None = None
    route: str = UNKNOWN
    user_agent: str | None = None
    host: str | None = None
    stream: bool = False
    status: int = 0
    error: str | None = None
    first_byte: float | None = None
    first_delta: float | None = None
    sent: int = 0
    cut: bool = False
    outcome: Outcome | None = None
    cost_known: bool = True
    cache: str | None = None
    meters: Sequence[Meter] = ()
    principal: Principal | None = None
    headers: dict[str, str] = field(default_factory=dict)
    refusals: Callable[[BaseException, str], RenderedError] = render

    def identify(self, given: str | None) -> None:
        """Take the caller's `x-request-id`, if it is one."""
        self.client_id = given if given and _PLAIN.fullmatch(given) else self.request_id


current: ContextVar[RequestContext | None] = ContextVar("pinnace_request", default=None)
