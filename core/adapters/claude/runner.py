"""Knows how to offer the CLI as the `AgentRunner` port; it must not know frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pinnace.core.adapters.claude.agent import AgentRun
from pinnace.core.adapters.claude.breaker import Breaker
from pinnace.core.adapters.claude.conversation import Conversation
from pinnace.core.adapters.claude.holding import Holding
from pinnace.core.adapters.claude.messages import MessagesRun
from pinnace.core.adapters.claude.options import (
    AgentOptions,
    CliOptions,
    Credential,
    CredentialKind,
    PoolOptions,
    UpstreamOptions,
)
from pinnace.core.adapters.claude.persistence import Patience, PersistentRun
from pinnace.core.adapters.claude.pool import Pool
from pinnace.core.adapters.claude.run import BaseRun
from pinnace.core.adapters.claude.subscription import SubscriptionRun
from pinnace.core.errors import BillingRefused, CliUnavailable
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.run import PoolStats, Profile, RunRequest
from pinnace.core.ports import Clock, SessionLink, Toll

#: The API documents this date for a model whose release is not known.
UNKNOWN_DATE = "1970-01-01T00:00:00Z"


class ClaudeRunner:
    """`AgentRunner` on the Claude Code CLI."""

    def __init__(
        self,
        cli: CliOptions,
        agent: AgentOptions,
        options: PoolOptions,
        clock: Clock,
        upstream: UpstreamOptions | None = None,
    ) -> None:
        self._cli, self._agent, self._options, self._clock = cli, agent, options, clock
        upstream = upstream or UpstreamOptions()
        self._patience = Patience(retries=upstream.retries, longest=upstream.longest_wait)
        self._breaker = Breaker(clock, failures=upstream.failures, pause=upstream.pause)
        self._pool = Pool(cli, agent, options, clock)
        self._holding: Holding[Conversation] = Holding(self._pool, options.hold)
        self._greeting: Mapping[str, Any] | None = None

    def run(self, request: RunRequest, toll: Toll | None = None, session: SessionLink | None = None) -> PersistentRun:
        check_credential(self._cli.credential)
        deadline = self._clock.monotonic() + request.seconds
        # An agent may have worked for minutes; the CLI makes its failed calls again, one by one.
        agent = request.profile is Profile.AGENT
        patience = Patience(retries=0) if agent else self._patience

        def make() -> BaseRun:
            return self._agent_run(request, deadline, toll, session) if agent else self._messages_run(request, deadline)

        return PersistentRun(make, deadline, self._clock, self._breaker, patience)

    async def forget(self, session_name: str) -> None:
        held = self._holding.take(session_name)
        if held is not None:
            await self._pool.end(held.process)

    def _messages_run(self, request: RunRequest, deadline: float) -> BaseRun:
        oauth = self._cli.credential.kind is CredentialKind.OAUTH_TOKEN
        kind = SubscriptionRun if oauth else MessagesRun
        return kind(self._pool, self._cli, self._clock, request, deadline)

    def _agent_run(
        self, request: RunRequest, deadline: float, toll: Toll | None, session: SessionLink | None
    ) -> BaseRun:
        if toll is not None and toll.binding and not self._cli.credential.relayed:
            raise BillingRefused(
                "With Bedrock and Vertex an agent's calls cannot be held to a budget: use the messages profile, or a budget "
                "whose mode is 'warn'."
            )
        return AgentRun(self._pool, self._cli, self._clock, request, deadline).serve(
            self._agent, self._holding, toll, session
        )

    async def prepare(self) -> None:
        await self._pool.prepare()

    async def models(self) -> list[ModelInfo]:
        found: dict[str, ModelInfo] = {}
        for entry in (await self._greet()).get("models", []):
            model_id = entry.get("resolvedModel") or entry["value"]
            known = found.get(model_id)
            aliases = (*(known.aliases if known else ()), entry["value"])
            found[model_id] = ModelInfo(model_id, _display_name(entry), UNKNOWN_DATE, aliases=aliases)
        return list(found.values())

    async def version(self) -> str:
        return str((await self._greet()).get("claude_code_version", ""))

    def stats(self) -> PoolStats:
        return replace(self._pool.stats(), circuit=self._breaker.circuit.value)

    async def aclose(self, grace: float) -> None:
        await self._pool.aclose(grace)

    async def _greet(self) -> Mapping[str, Any]:
        if self._greeting is None:
            self._greeting = await self._pool.greeting()
        return self._greeting


def check_credential(credential: Credential) -> None:
    """Refuse a run without a credential.

    Raises:
        CliUnavailable: there is none.
    """
    if credential.kind is CredentialKind.NONE:
        raise CliUnavailable("There is no credential for the model's API: set ANTHROPIC_API_KEY for `pinnace serve`.")


def _display_name(entry: Mapping[str, Any]) -> str:
    """`Opus 5.5 · Best for …` and `Default (currently Opus 5.5) · …` both say the model's own name."""
    text = str(entry.get("description", ""))
    named = re.search(r"([A-Z][a-z]+ \d+(?:\.\d+)?)", text)
    return f"Claude {named.group(1)}" if named else str(entry.get("displayName") or entry["value"])
