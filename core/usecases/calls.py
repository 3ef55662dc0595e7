"""Knows how a call is admitted, run, paid for and written down, whoever asked for it over what; it must not know HTTP.

The order is the contract: limits, then money, then the run; and however the run ends, the money is settled, the place is
given back and the record is written before the caller sees the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pinnace.core.errors import PermissionRefused, RateLimited
from pinnace.core.model.limits import Lease, Take
from pinnace.core.model.run import Profile, RunRequest
from pinnace.core.model.usage import UsageRecord, Use
from pinnace.core.ports import AgentRunner, Clock, Limiter, SessionLink, UsageStore
from pinnace.core.usecases import messages
from pinnace.core.usecases.afterwards import afterwards
from pinnace.core.usecases.billing import GRACE, Billing
from pinnace.core.usecases.bounds import Bound, bound_of
from pinnace.core.usecases.call import CacheUse, Call, Receipt, new_turn
from pinnace.core.usecases.cancelling import surely
from pinnace.core.usecases.filing import FileBook
from pinnace.core.usecases.replay import Replay
from pinnace.core.usecases.routing import Router
from pinnace.core.usecases.sessions import SessionBook
from pinnace.core.usecases.tolls import AgentToll
from pinnace.core.wire.anthropic.errors import render

#: A caller who left before the end; nginx's own status for it.
LEFT = 499


@dataclass(frozen=True, slots=True)
class Calls:
    """The way of every call that costs."""

    runner: AgentRunner
    limiter: Limiter
    usage: UsageStore
    billing: Billing
    router: Router
    replay: Replay
    sessions: SessionBook
    files: FileBook
    clock: Clock

    async def stream(self, call: Call, receipt: Receipt) -> AsyncGenerator[dict[str, Any], None]:
        """Serve a call: yield the events of the caller's stream, each as soon as it is there, and fill in `receipt`.

        Raises:
            PinnaceError: it is refused, or it fails.
        """
        began, first, failure = self.clock.monotonic(), None, None
        try:
            await self._choose(call, receipt)
            call = await self._with_files(call)
            async with contextlib.aclosing(self._once(call, receipt)) as events:
                async for event in events:
                    first = self.clock.monotonic() - began if first is None else first
                    yield event
        except BaseException as error:
            failure = error
            raise
        finally:
            record = self._record(call, receipt, failure, self.clock.monotonic() - began, first)
            await afterwards(self.usage.add(record), "a call was not written down", record=asdict(record))

    async def _choose(self, call: Call, receipt: Receipt) -> None:
        """Find the model's id, and whether the caller may use it."""
        if call.model == "auto":
            receipt.model = "auto"
            receipt.decision, receipt.model = await self.router.choose(call.principal, call.body)
        else:
            receipt.model = await messages.resolve_model(self.runner, call.model)
        if not call.principal.may_use(receipt.model):
            raise PermissionRefused(
                f"This key may not use {receipt.model}; an administrator can add it to the allowed_models of the key or project."
            )

    async def _with_files(self, call: Call) -> Call:
        """The call with the files that its body names in it, and those that an agent is to find in its directory."""
        project_id, body, files = call.principal.project_id, call.body, call.files
        if call.profile is Profile.AGENT:
            body, files = await self.files.bring(project_id, body)
        body = await self.files.attach(project_id, body)
        return call if body is call.body else replace(call, body=body, files=files)

    async def _once(self, call: Call, receipt: Receipt) -> AsyncGenerator[dict[str, Any], None]:
        """Answer an `Idempotency-Key` once, and every later time with the same."""
        key, project_id = call.idempotency_key, call.principal.project_id
        if key is None:
            kept, events = None, self._cached(call, receipt)
        else:
            fingerprint = call.fingerprint
            kept = await self.replay.claim(project_id, key, fingerprint, call.seconds + GRACE)
            events = self.replay.fulfilling(project_id, key, fingerprint, self._cached(call, receipt))
        if kept is not None:
            receipt.replayed = True
            events = _again(kept)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    async def _cached(self, call: Call, receipt: Receipt) -> AsyncGenerator[dict[str, Any], None]:
        """Give the answer to an identical request again, where the caller wants that."""
        project_id, kept = call.principal.project_id, None
        events = self._admitted(call, receipt) if call.session_id is None else self._in_session(call, receipt)
        # What a session's turn is answered depends on all of its turns before.
        if call.cache is not CacheUse.OFF and call.session_id is None:
            receipt.cache, fingerprint = "miss", call.fingerprint
            if call.cache is CacheUse.ON:
                kept = await self.replay.cached(project_id, fingerprint)
            events = self.replay.caching(project_id, fingerprint, events)
        if kept is not None:
            receipt.cache = "hit"
            events = _again(kept)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    async def _in_session(self, call: Call, receipt: Receipt) -> AsyncGenerator[dict[str, Any], None]:
        """Run the call as a session's next turn."""
        project_id, session_id = call.principal.project_id, call.session_id or ""
        async with self.sessions.opened(project_id, session_id, call.profile, call.session_wait) as held:
            messages = call.body["messages"]
            turn = messages[new_turn(messages) :] if held.transcript is not None else messages
            if call.profile is Profile.MESSAGES:
                before = [{"role": one.role, "content": one.content} for one in await held.history()]
                call = replace(call, body={**call.body, "messages": [*before, *turn]})
                events = held.remembered(self._admitted(call, receipt), turn)
            else:
                call = replace(call, body={**call.body, "messages": turn})
                events = self._admitted(call, receipt, held)
            async with contextlib.aclosing(events):
                async for event in events:
                    yield event

    async def _admitted(
        self, call: Call, receipt: Receipt, session: SessionLink | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Run the call between its limits."""
        bound = bound_of(call.body)
        takes, lease = self._takes(call, receipt.model, bound)
        if not takes and lease is None:
            async with contextlib.aclosing(self._paid(call, receipt, bound, session)) as events:
                async for event in events:
                    yield event
            return
        try:
            entering = self.limiter.enter(takes, self.clock.now(), lease)
            nothing = [(take, 0) for take in takes]
            receipt.meters = await surely(entering, lambda: self.limiter.leave(nothing, self.clock.now(), lease))
        except RateLimited as error:
            receipt.meters = error.meters
            raise
        try:
            async with contextlib.aclosing(self._paid(call, receipt, bound, session)) as events:
                async for event in events:
                    yield event
        finally:
            corrections = [(take, _taken(take, receipt.used)) for take in takes if take.kind != "requests"]
            if corrections or lease is not None:
                leaving = self.limiter.leave(corrections, self.clock.now(), lease)
                await afterwards(leaving, "a limit was not given back", request_id=call.request_id)

    async def _paid(
        self, call: Call, receipt: Receipt, bound: Bound, session: SessionLink | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Run the call on reserved money; an agent reserves for each of its calls by itself."""
        seconds, principal = call.seconds, call.principal
        toll = ticket = None
        if call.profile is Profile.AGENT:
            toll = AgentToll(self.billing, principal, call.request_id, seconds)
        else:
            ticket = await self.billing.reserve(call.request_id, principal, receipt.model, bound, seconds)
        run = self._request(call, receipt.model)
        inner = messages.Receipt()
        try:
            talking = messages.converse(self.runner, run, call.mode, inner, toll, session)
            async with toll or contextlib.nullcontext(), contextlib.aclosing(talking) as events:
                async for event in events:
                    yield event
        finally:
            receipt.outcome = inner.outcome
            by_model = toll.by_model if toll is not None and toll.calls else inner.outcome.by_model
            receipt.used, receipt.cost_known = self.billing.price(by_model)
            known = {"request_id": call.request_id, "used": asdict(receipt.amount)}
            if ticket is not None:
                paying = self.billing.settle(ticket, receipt.amount)
                await afterwards(paying, "a call was not settled, so all that it reserved counts", **known)
            elif toll is not None and not toll.calls:
                paying = self.billing.charge(call.request_id, principal, receipt.amount)
                await afterwards(paying, "a call was not counted", **known)

    def _request(self, call: Call, model: str) -> RunRequest:
        return RunRequest(
            request_id=call.request_id,
            project=call.principal.project_id,
            profile=call.profile,
            model=model,
            body=call.body,
            betas=call.betas,
            api_version=call.api_version,
            seconds=call.seconds,
            files=call.files,
        )

    def _takes(self, call: Call, model: str, bound: Bound) -> tuple[list[Take], Lease | None]:
        """What the call takes of its key's limits: the most that it can use, which is put right at its end."""
        key = call.principal.key
        if key is None:
            return [], None
        limits, read = key.limits, bound.input
        if read is None:
            read = self.billing.prices.context_window(model)
        wanted = (
            ("requests", limits.requests_per_minute, 1),
            ("tokens", limits.tokens_per_minute, read + bound.output),
            ("input-tokens", limits.input_tokens_per_minute, read),
            ("output-tokens", limits.output_tokens_per_minute, bound.output),
        )
        takes = [Take(key.id, kind, limit, units) for kind, limit, units in wanted if limit is not None]
        lease = None
        if limits.concurrent is not None:
            lease = Lease(key.id, call.request_id, limits.concurrent, self.clock.now() + call.seconds + GRACE)
        return takes, lease

    def _record(
        self, call: Call, receipt: Receipt, failure: BaseException | None, duration: float, first: float | None
    ) -> UsageRecord:
        status, kind = 200, None
        if isinstance(failure, Exception):
            rendered = render(failure, call.request_id)
            status, kind = rendered.status, rendered.body["error"]["type"]
        elif failure is not None:
            status, kind = LEFT, "client_left"
        return UsageRecord(
            request_id=call.request_id,
            at=self.clock.now(),
            project_id=call.principal.project_id,
            key_id=call.principal.key_id,
            model=receipt.model or call.model,
            profile=call.profile.value,
            path=call.path,
            status=status,
            error=kind,
            by_model=receipt.used,
            duration=duration,
            first_delta=first,
            cost_known=receipt.cost_known,
        )


async def _again(kept: Sequence[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
    for event in kept:
        yield event


def _taken(take: Take, used: Mapping[str, Use]) -> int:
    written = sum(use.tokens.get("output_tokens", 0) for use in used.values())
    everything = sum(use.total_tokens for use in used.values())
    return {"tokens": everything, "input-tokens": everything - written, "output-tokens": written}[take.kind]
