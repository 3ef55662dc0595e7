"""Knows how a request becomes a size of model, and says why; it must not know ids of models, prices, projects or anyone's wire.

Three steps, in this order::

    the rules        the first that holds names what is wanted      `routing_rules.RULES`, else `ordinary`
    the budget       nearly spent: the smallest                      `scarce_budget`
    what is allowed  else the nearest smaller, else nearest larger   `not_allowed`

`Decision.rule` is the step that had the last word; `Decision.reasons` are all that had a say, the first of them the rule's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pinnace.core.model.routing_features import Features, features_of, features_of_task
from pinnace.core.model.routing_rules import Reason, Thresholds, Tier, complexity, first_that_holds

__all__ = [
    "EVERY_TIER",
    "Decision",
    "Features",
    "Reason",
    "Thresholds",
    "Tier",
    "decide",
    "features_of",
    "features_of_task",
    "tier_of",
]

EVERY_TIER = tuple(Tier)
_NAMED = re.compile(r"(?<![a-z])(haiku|sonnet|opus)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why.

    Attributes:
        tier: The size to use; always an allowed one.
        rule: What had the last word: a rule's id, `scarce_budget` or `not_allowed`.
        reasons: All that had a say, in their order.
        wanted: What the rules named, before the budget and what is allowed.
        complexity: From 0 to 1, over everything that was seen.
    """

    tier: Tier
    rule: str
    reasons: tuple[Reason, ...]
    wanted: Tier
    complexity: float

    @property
    def reasoning(self) -> str:
        """The reasons in words."""
        return " ".join(reason.detail for reason in self.reasons)


def decide(
    features: Features,
    thresholds: Thresholds,
    *,
    allowed: Sequence[Tier] = EVERY_TIER,
    budget_left: float | None = None,
) -> Decision:
    """Choose the size for what was seen.

    `budget_left` is the share of the budget that is left, or None where there is no budget. Raises `ValueError` where
    nothing is allowed.
    """
    wanted, reason = first_that_holds(features, thresholds)
    tier, reasons = wanted, [reason]
    if budget_left is not None and budget_left <= thresholds.scarce_budget and tier is not Tier.HAIKU:
        tier = Tier.HAIKU
        reasons.append(Reason("scarce_budget", f"Of the budget {max(0.0, budget_left):.0%} is left.", budget_left))
    nearest = _nearest(tier, allowed)
    if nearest is not tier:
        reasons.append(Reason("not_allowed", f"The project may not use {tier}: {nearest} is the nearest.", tier.value))
    return Decision(nearest, reasons[-1].code, tuple(reasons), wanted, complexity(features, thresholds))


def tier_of(model: str) -> Tier | None:
    """Tell the size of a model by its name or alias (`claude-opus-5-5`, `sonnet`); None where the name does not tell."""
    found = _NAMED.search(model)
    return Tier(found[1].lower()) if found else None


def _nearest(wanted: Tier, allowed: Sequence[Tier]) -> Tier:
    if not allowed:
        raise ValueError("no size of model is allowed")
    smaller = [tier for tier in allowed if tier.rank <= wanted.rank]
    return max(smaller, key=lambda tier: tier.rank) if smaller else min(allowed, key=lambda tier: tier.rank)
