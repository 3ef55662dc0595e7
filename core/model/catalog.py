"""Knows what a model is called and what it can do; it must not know prices, providers or anyone's wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model that this server serves.

    Attributes:
        id: The name that answers carry.
        display_name: The name for people.
        created_at: RFC 3339.
        max_input_tokens: The context window, or None when it is not known.
        max_tokens: The most that `max_tokens` may be, or None when it is not known.
        capabilities: In Anthropic's shape; empty when they are not known.
        aliases: Other names under which a request may ask for it.
    """

    id: str
    display_name: str
    created_at: str
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    aliases: tuple[str, ...] = ()

    def answers_to(self, name: str) -> bool:
        """Tell whether `name` is this model's id or one of its aliases."""
        return name == self.id or name in self.aliases
