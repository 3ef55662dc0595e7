"""Knows how pydantic's findings become one sentence in Anthropic's style; it must not know any rule of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pinnace.core.errors import InvalidRequest

_LONGEST: Final = 300

_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "Field required",
    "value_error": lambda ctx: str(ctx["error"]),
    "dict_type": lambda _: "Input should be an object",
    "bool_type": lambda _: "Input should be true or false",
    "greater_than_equal": lambda ctx: f"Input must be at least {ctx['ge']:g}",
    "less_than_equal": lambda ctx: f"Input must be at most {ctx['le']:g}",
    "string_too_short": lambda _: "Input must be a non-empty string",
    "too_short": lambda ctx: f"List must have at least {ctx['min_length']} item",
    "too_long": lambda ctx: f"List must have at most {ctx['max_length']} items, not {ctx['actual_length']}",
}


def rejection(error: ValidationError) -> InvalidRequest:
    """Say what is wrong first, and how much else is.

    Args:
        error: What pydantic found.

    Returns:
        The error to raise, with `path` in the caller's own terms.
    """
    path, message = _explain(error.errors(include_url=False)[0])
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + "..."
    more = error.error_count() - 1
    return InvalidRequest(f"{message} (and {more} more)" if more else message, path=path or None)


def _explain(finding: ErrorDetails) -> tuple[str, str]:
    kind = finding["type"]
    path = ".".join(str(part) for part in finding["loc"] if not _is_tag(part))
    context = finding.get("ctx", {})
    if kind == "union_tag_not_found":
        return _explain_tagless(path, finding["input"], context)
    if kind == "union_tag_invalid":
        return path, _explain_tag(context)
    if kind == "string_too_short" and finding["loc"][-1] == "text":
        return path, "text content blocks must be non-empty"
    words = _WORDS.get(kind)
    return path, words(context) if words else finding["msg"]


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _explain_tagless(path: str, value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    if context["discriminator"] == "string_or_list()":
        return path, "Input should be a string or a list of content blocks"
    if not isinstance(value, dict):
        return path, "Input should be an object"
    path = f"{path}.type"
    return path, "Input should be a valid string" if "type" in value else "Field required"


def _explain_tag(context: Mapping[str, Any]) -> str:
    tag = context["tag"][1:-1][:100]
    expected = context["expected_tags"].replace("'<", "'").replace(">'", "'")
    return f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"
