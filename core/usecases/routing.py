"""Knows which model `auto` stands for, for whom; it must not know HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinnace.core.errors import PermissionRefused
from pinnace.core.model.access import Principal
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.ledger import Balance, Cap
from pinnace.core.model.routing import Decision, Features, Thresholds, Tier, decide, features_of
from pinnace.core.ports import AgentRunner
from pinnace.core.usecases.billing import Billing

#: Tokens that an answer is taken to have, where prices are compared.
ANSWER = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would cost with one model, in millionths of a dollar; None where it has no price."""

    tier: Tier
    model: str
    microusd: int | None


@dataclass(frozen=True, slots=True)
class Router:
    """Chooses among what the CLI offers and the caller may use."""

    runner: AgentRunner
    billing: Billing
    thresholds: Thresholds

    async def choose(self, principal: Principal, body: Mapping[str, Any]) -> tuple[Decision, str]:
        """Choose for a request; the second value is the model's id."""
        decision, models = await self.decide(principal, features_of(body))
        return decision, models[decision.tier]

    async def decide(self, principal: Principal, features: Features) -> tuple[Decision, dict[Tier, str]]:
        """Choose for what was seen; the second value is the models that were to choose from.

        Raises:
            PermissionRefused: the caller may use none of them.
        """
        models = await self._models(principal)
        if not models:
            raise PermissionRefused(
                "'auto' has nothing to choose from: this key may use no haiku, sonnet or opus model."
            )
        left = await self._left(principal)
        return decide(features, self.thresholds, allowed=tuple(models), budget_left=left), models

    def estimates(self, features: Features, models: Mapping[Tier, str]) -> list[Estimate]:
        """Compare what a call would cost with each of the models, the smallest first."""
        usage = {"input_tokens": features.context_tokens, "output_tokens": ANSWER}
        ordered = sorted(models.items(), key=lambda item: item[0].rank)
        return [Estimate(tier, model, self.billing.prices.cost(model, usage)) for tier, model in ordered]

    async def _models(self, principal: Principal) -> dict[Tier, str]:
        known = await self.runner.models()
        named = {tier: _named(known, tier.value) for tier in Tier}
        return {tier: model for tier, model in named.items() if model is not None and principal.may_use(model)}

    async def _left(self, principal: Principal) -> float | None:
        """The smallest share that is left of any budget, or None where there is none."""
        caps = [cap for cap in self.billing.caps(principal, self.billing.clock.now()) if cap.microusd or cap.tokens]
        if not caps:
            return None
        balances = await self.billing.ledger.balances([cap.account for cap in caps])
        return min(share for cap, balance in zip(caps, balances, strict=True) for share in _shares(cap, balance))


def _shares(cap: Cap, balance: Balance) -> Sequence[float]:
    pairs = ((cap.microusd, balance.committed.microusd), (cap.tokens, balance.committed.tokens))
    return [max(0.0, (limit - held) / limit) for limit, held in pairs if limit]


def _named(models: Sequence[ModelInfo], alias: str) -> str | None:
    return next((model.id for model in models if model.answers_to(alias)), None)
