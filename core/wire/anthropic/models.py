"""Knows how a list of models looks to Anthropic's and to OpenAI's clients; it must not know whose list it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.catalog import ModelInfo

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000


def render_model(model: ModelInfo) -> dict[str, Any]:
    """Write one model in Anthropic's shape."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": dict(model.capabilities) or None,
        # A server lists what it serves; the SDK requires the field.
        "lifecycle": "active",
        "line": None,
        "deprecated_at": None,
        "retires_at": None,
    }


def render_page(
    models: Sequence[ModelInfo],
    *,
    limit: int = DEFAULT_LIMIT,
    after_id: str | None = None,
    before_id: str | None = None,
) -> dict[str, Any]:
    """Write one page of the list in Anthropic's shape.

    Args:
        models: All of them, in the order of the list.
        limit: The most that the page may hold.
        after_id: The page begins right after this model.
        before_id: The page ends right before this model.

    Returns:
        The page; `has_more` looks in the direction of the paging.

    Raises:
        InvalidRequest: The limit is out of range, both ends are given, or one is not in the list.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"Input must be between 1 and {MAX_LIMIT}", path="limit")
    if after_id is not None and before_id is not None:
        raise InvalidRequest("Only one of `after_id` and `before_id` may be given", path="before_id")
    if before_id is not None:
        end = _position(models, before_id, "before_id")
        start = max(0, end - limit)
        has_more = start > 0
    else:
        start = 0 if after_id is None else _position(models, after_id, "after_id") + 1
        end = start + limit
        has_more = end < len(models)
    page = [render_model(model) for model in models[start:end]]
    return {
        "data": page,
        "has_more": has_more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def render_openai_model(model: ModelInfo) -> dict[str, Any]:
    """Write one model in OpenAI's shape."""
    created = datetime.fromisoformat(model.created_at)
    if created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    return {"id": model.id, "object": "model", "created": int(created.timestamp()), "owned_by": "anthropic"}


def render_openai_list(models: Sequence[ModelInfo]) -> dict[str, Any]:
    """Write the whole list in OpenAI's shape, which has no pages."""
    return {"object": "list", "data": [render_openai_model(model) for model in models]}


def _position(models: Sequence[ModelInfo], name: str, path: str) -> int:
    for index, model in enumerate(models):
        if model.answers_to(name):
            return index
    raise InvalidRequest("No such model in the list", path=path)
