"""Knows how tokens are counted on both wires; it must not know what any of them costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_usage(usage: Mapping[str, Any], cost_usd: float | None = None) -> dict[str, Any]:
    """Write Anthropic's counts in OpenAI's terms.

    Args:
        usage: The counts of a whole answer; Anthropic counts what is read from and written to the cache apart.
        cost_usd: What the answer cost; without it, `usage` may tell (an agent's does).

    Returns:
        OpenAI's counts, and `cost_usd` where it is known.
    """
    cached = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + cached + written
    completion = _count(usage, "output_tokens")
    rendered: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
    }
    details = usage.get("output_tokens_details") or {}
    if details.get("thinking_tokens") is not None:
        rendered["completion_tokens_details"] = {"reasoning_tokens": details["thinking_tokens"]}
    cost = usage.get("cost_usd") if cost_usd is None else cost_usd
    if cost is not None:
        rendered["cost_usd"] = cost
    return rendered


def _count(usage: Mapping[str, Any], name: str) -> int:
    return int(usage.get(name) or 0)
