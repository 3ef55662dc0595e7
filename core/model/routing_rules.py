"""Knows the ordered rules that choose a size of model, and their thresholds; it must not know budgets, projects or prices.

The first rule that holds decides. Each is monotone in `context_tokens`: more context never gives a smaller model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pinnace.core.model.routing_features import Features


class Tier(StrEnum):
    """A size of model, the smallest first."""

    HAIKU = "haiku"
    SONNET = "sonnet"
    OPUS = "opus"

    @property
    def rank(self) -> int:
        """Its place among the sizes, from 0."""
        return list(Tier).index(self)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the rules turn.

    Attributes:
        large_context_tokens: More context than this goes to opus.
        medium_context_tokens: More context than this is not for haiku.
        hard_words: Hard reasoning has this many words at least; "Prove it!" is chit-chat.
        many_analyses: So many different words of analysis, in a request that is not short, are a problem for opus.
        hard_complexity: A complexity from here on goes to opus.
        many_tools: So many tools are an agent's work.
        many_items: So many items of a list, or questions, are several tasks.
        simple_words: A request of at most this many words is short.
        long_words: A request of so many words is as long as length can count.
        scarce_budget: With this share of the budget left, or less, there is haiku only.
    """

    large_context_tokens: int = 10_000
    medium_context_tokens: int = 4_000
    hard_words: int = 4
    many_analyses: int = 4
    hard_complexity: float = 0.6
    many_tools: int = 5
    many_items: int = 3
    simple_words: int = 40
    long_words: int = 200
    scarce_budget: float = 0.1


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: `code` for machines, `detail` for people, `value` is what was found."""

    code: str
    detail: str
    value: str | int | float


Found = tuple[str, str | int | float]
Check = Callable[[Features, Thresholds], Found | None]


def complexity(features: Features, thresholds: Thresholds) -> float:
    """Weigh everything that was seen into a number from 0 to 1."""
    structure = features.list_items + features.questions + 3 * features.code_blocks
    load = features.tools / (4 * thresholds.many_tools) + (features.images + features.documents) / 2
    return round(
        min(
            1.0,
            0.4 * _share(len(features.hard), 2)
            + 0.3 * _share(len(features.analysis), thresholds.many_analyses)
            + 0.3 * _share(features.context_tokens, thresholds.large_context_tokens)
            + 0.2 * _share(features.words, thresholds.long_words)
            + 0.1 * _share(structure, 2 * thresholds.many_items)
            + 0.1 * min(1.0, load),
        ),
        3,
    )


def first_that_holds(features: Features, thresholds: Thresholds) -> tuple[Tier, Reason]:
    """Give the size that the first matching rule names, and why."""
    for code, tier, check in RULES:
        if found := check(features, thresholds):
            return tier, Reason(code, *found)
    return Tier.SONNET, Reason("ordinary", "No other rule holds: an ordinary task.", features.words)


def _share(value: float, most: float) -> float:
    return min(1.0, value / most) if most > 0 else float(value > 0)


def _large_context(features: Features, thresholds: Thresholds) -> Found | None:
    found, limit = features.context_tokens, thresholds.large_context_tokens
    return (f"About {found:,} tokens of context, more than {limit:,}.", found) if found > limit else None


def _hard_reasoning(features: Features, thresholds: Thresholds) -> Found | None:
    if not features.hard or features.words < thresholds.hard_words:
        return None
    return f"Words of hard reasoning: {_quoted(features.hard)}.", ", ".join(features.hard)


def _broad_analysis(features: Features, thresholds: Thresholds) -> Found | None:
    # A short request names a symptom in many words ("debug", "error", "fails", "why") and is still one question.
    if len(features.analysis) < max(1, thresholds.many_analyses) or features.words <= thresholds.simple_words:
        return None
    return f"Analysis in several respects: {_quoted(features.analysis)}.", len(features.analysis)


def _complex(features: Features, thresholds: Thresholds) -> Found | None:
    found, limit = complexity(features, thresholds), thresholds.hard_complexity
    return (f"Everything together has a complexity of {found:g}, {limit:g} or more.", found) if found >= limit else None


def _analysis(features: Features, _: Thresholds) -> Found | None:
    if not features.analysis:
        return None
    return f"Words of analysis: {_quoted(features.analysis)}.", ", ".join(features.analysis)


def _code(features: Features, _: Thresholds) -> Found | None:
    return ("There is code to work on.", features.code_blocks) if features.code_blocks else None


def _attachments(features: Features, _: Thresholds) -> Found | None:
    found = features.images + features.documents
    return ("There are images or documents to read.", found) if found else None


def _medium_context(features: Features, thresholds: Thresholds) -> Found | None:
    found, limit = features.context_tokens, thresholds.medium_context_tokens
    return (f"About {found:,} tokens of context, more than {limit:,}.", found) if found > limit else None


def _agent_work(features: Features, thresholds: Thresholds) -> Found | None:
    found, limit = features.tools, thresholds.many_tools
    return (f"{found} tools, {limit} or more.", found) if found >= max(1, limit) else None


def _making(features: Features, _: Thresholds) -> Found | None:
    if not features.making or features.simple:
        return None
    return f"Something is to be made: {_quoted(features.making)}.", ", ".join(features.making)


def _several_tasks(features: Features, thresholds: Thresholds) -> Found | None:
    found = max(features.list_items, features.questions)
    return (f"{found} items or questions.", found) if found >= max(1, thresholds.many_items) else None


def _short_and_simple(features: Features, thresholds: Thresholds) -> Found | None:
    found, limit = features.words, thresholds.simple_words
    return (f"Short and simple: {found} words, {limit} at most.", found) if found <= limit else None


def _simple_task(features: Features, thresholds: Thresholds) -> Found | None:
    if not features.simple or features.words > thresholds.long_words:
        return None
    return f"Words of a simple task: {_quoted(features.simple)}.", ", ".join(features.simple)


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


RULES: tuple[tuple[str, Tier, Check], ...] = (
    ("large_context", Tier.OPUS, _large_context),
    ("hard_reasoning", Tier.OPUS, _hard_reasoning),
    ("broad_analysis", Tier.OPUS, _broad_analysis),
    ("complex", Tier.OPUS, _complex),
    ("analysis", Tier.SONNET, _analysis),
    ("code", Tier.SONNET, _code),
    ("attachments", Tier.SONNET, _attachments),
    ("medium_context", Tier.SONNET, _medium_context),
    ("agent_work", Tier.SONNET, _agent_work),
    ("making", Tier.SONNET, _making),
    ("several_tasks", Tier.SONNET, _several_tasks),
    ("short_and_simple", Tier.HAIKU, _short_and_simple),
    ("simple_task", Tier.HAIKU, _simple_task),
)
