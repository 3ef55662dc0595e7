"""Knows when an answer is given again instead of made anew; it must not know how answers are made, or HTTP.

An answer is kept as its events, so that it is replayed to any client as a stream or whole. Only a complete one is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pinnace.core.errors import Conflicted
from pinnace.core.model.answers import AnswerId, AnswerKind, KeptAnswer
from pinnace.core.ports import AnswerStore, Clock
from pinnace.core.usecases.afterwards import afterwards

Events = AsyncGenerator[dict[str, Any], None]
#: Seconds that an answer to an `Idempotency-Key` is kept.
DAY = 86_400.0
#: Seconds between two looks at an answer that somebody else is making.
LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Replay:
    """Answers that are kept, for `ttl` seconds where they are the cache's."""

    store: AnswerStore
    clock: Clock
    ttl: float

    async def cached(self, project_id: str, fingerprint: str) -> list[dict[str, Any]] | None:
        """The events of the answer to an identical request, if one is kept."""
        answer_id = AnswerId(AnswerKind.CACHE, project_id, fingerprint)
        kept = await self.store.look(answer_id, self.clock.now())
        return None if kept is None or kept.answer is None else orjson.loads(kept.answer)

    async def caching(self, project_id: str, fingerprint: str, events: Events) -> Events:
        """Pass events on, and keep them once they are complete."""
        seen: list[dict[str, Any]] = []
        async with contextlib.aclosing(events):
            async for event in events:
                seen.append(event)
                yield event
        now, answer_id = self.clock.now(), AnswerId(AnswerKind.CACHE, project_id, fingerprint)
        keeping = self.store.keep(answer_id, KeptAnswer(fingerprint, orjson.dumps(seen)), now, now + self.ttl)
        await afterwards(keeping, "an answer was not cached", project_id=project_id)

    async def claim(self, project_id: str, key: str, fingerprint: str, seconds: float) -> list[dict[str, Any]] | None:
        """Wait for the one answer to a key, or be the one who makes it: then it is None.

        Raises:
            Conflicted: the key was used for another request, or its answer takes longer than `seconds`.
        """
        answer_id, deadline = _once(project_id, key), self.clock.monotonic() + seconds
        while True:
            now = self.clock.now()
            kept = await self.store.claim(answer_id, fingerprint, now, now + seconds)
            if kept is None:
                return None
            if kept.fingerprint != fingerprint:
                raise Conflicted("This Idempotency-Key was used for another request; use a new one for each request.")
            if kept.answer is not None:
                events: list[dict[str, Any]] = orjson.loads(kept.answer)
                return events
            if self.clock.monotonic() >= deadline:
                raise Conflicted("A request with this Idempotency-Key is still running.", retry_after=5)
            await asyncio.sleep(LOOK)

    async def fulfilling(self, project_id: str, key: str, fingerprint: str, events: Events) -> Events:
        """Pass the events of a claimed answer on, and keep them; what fails or is left may be tried again."""
        answer_id, seen = _once(project_id, key), list[dict[str, Any]]()
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    seen.append(event)
                    yield event
        except BaseException:
            await afterwards(self.store.release(answer_id), "an Idempotency-Key is kept until its call would be over")
            raise
        now = self.clock.now()
        keeping = self.store.keep(answer_id, KeptAnswer(fingerprint, orjson.dumps(seen)), now, now + DAY)
        await afterwards(keeping, "an answer is not there for its Idempotency-Key", project_id=project_id)

    async def forget(self, project_id: str) -> int:
        """Forget the cached answers of a project, and say how many there were."""
        return await self.store.forget(AnswerKind.CACHE, project_id)


def fingerprint_of(
    profile: str, mode: str, betas: tuple[str, ...], version: str, body: Mapping[str, Any], session: str | None = None
) -> str:
    """A name for everything that an answer depends on; whether it streams, and who asks, is not among it."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "metadata")}
    whole = [profile, mode, sorted(betas), version, asked, session]
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()


def _once(project_id: str, key: str) -> AnswerId:
    return AnswerId(AnswerKind.ONCE, project_id, hashlib.sha256(key.encode()).hexdigest())
