"""Knows what tokens cost in a test."""

from __future__ import annotations

from collections.abc import Mapping

from pinnace.core.ports import CacheLife


class TenAToken:
    """`Prices` of ten millionths for any token, twenty where a cache may be written; a model reads 1,000 tokens.

    The model `unheard-of` has no price.
    """

    as_of = "today"

    def cost(self, model: str, usage: Mapping[str, int]) -> int | None:
        return None if model == "unheard-of" else 10 * sum(usage.values())

    def bound(self, model: str, input_tokens: int, output_tokens: int, *, cache: CacheLife | None) -> int | None:
        return None if model == "unheard-of" else (20 if cache else 10) * (input_tokens + output_tokens)

    def context_window(self, model: str) -> int:
        return 1_000
