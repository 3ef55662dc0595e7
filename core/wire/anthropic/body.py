"""Knows how the bytes of a body become one JSON object that the CLI can carry; it must not know what the object means.

The CLI is a JavaScript program: every number passes through an IEEE double there, so an integer beyond 2**53 - 1 would
arrive as another number. It is refused here instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from pinnace.core.errors import InvalidRequest

MAX_DEPTH = 100
MAX_INTEGER = 2**53 - 1
# orjson reads an integer of more than 64 bits as a float; no smaller float can have been written as such an integer.
_PERHAPS_AN_INTEGER = 2.0**63


def parse_object(raw: bytes, noun: str = "body") -> dict[str, Any]:
    """Parse a body.

    Args:
        raw: The bytes as they came.
        noun: What its sender calls it.

    Returns:
        The object, with every value as the caller wrote it.

    Raises:
        InvalidRequest: It is no JSON, no object, nested too deeply, or holds an integer that a double cannot hold.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        place = f"(line {error.lineno}, column {error.colno})"
        raise InvalidRequest(f"The {noun} is not valid JSON: {error.msg} {place}") from None
    if type(body) is not dict:
        raise InvalidRequest(f"The {noun} must be a JSON object")
    _check_values(body, raw, noun)
    return body


def _check_values(body: dict[str, Any], raw: bytes, noun: str) -> None:
    level: list[Any] = [body]
    suspicious = False
    for _ in range(MAX_DEPTH):
        level, found = _descend(level)
        suspicious = suspicious or found
        if not level:
            break
    if level:
        raise InvalidRequest(f"The {noun} is nested too deeply: at most {MAX_DEPTH} levels are allowed")
    if suspicious:
        # The standard library keeps integers of any size whole; it is slow, and this is rare.
        _refuse_wide_integers(json.loads(raw))


def _descend(level: list[Any]) -> tuple[list[Any], bool]:
    """Give the containers within these containers, and whether a number among them is wide."""
    below: list[Any] = []
    suspicious = False
    for container in level:
        for value in container.values() if type(container) is dict else container:
            kind = type(value)
            if kind is dict or kind is list:
                below.append(value)
            elif kind is int:
                suspicious = suspicious or not -MAX_INTEGER <= value <= MAX_INTEGER
            elif kind is float:
                suspicious = suspicious or not -_PERHAPS_AN_INTEGER < value < _PERHAPS_AN_INTEGER
    return below, suspicious


def _refuse_wide_integers(body: dict[str, Any]) -> None:
    for path, value in _leaves(body):
        if type(value) is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise InvalidRequest(
                "Integers must be between -(2**53 - 1) and 2**53 - 1, because numbers are carried as doubles; "
                "send a string instead",
                path=path,
            )


def _leaves(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{key}" if path else key, item) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{path}.{index}", item) for index, item in reversed(list(enumerate(value)))]
        else:
            yield path, value
