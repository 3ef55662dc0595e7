"""Knows how one value of a JSON object is read, and how it is refused by its path; it must not know any field's meaning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pinnace.core.errors import InvalidRequest


def require(fields: Mapping[str, Any], name: str, path: str) -> Any:
    """Give a field that must be there and must not be null.

    Raises:
        InvalidRequest: It is not there.
    """
    value = fields.get(name)
    if value is None:
        raise InvalidRequest("Field required", path=f"{path}.{name}" if path else name)
    return value


def read_object(value: Any, path: str) -> dict[str, Any]:
    """Read an object.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, dict):
        raise InvalidRequest("Input should be an object", path=path)
    return value


def read_list(value: Any, path: str) -> list[Any]:
    """Read a list.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, list):
        raise InvalidRequest("Input should be a list", path=path)
    return value


def read_string(value: Any, path: str) -> str:
    """Read a string that is not empty.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(value, str) or not value:
        raise InvalidRequest("Input should be a non-empty string", path=path)
    return value


def read_flag(value: Any, path: str) -> bool:
    """Read a flag; null is false.

    Raises:
        InvalidRequest: It is neither true nor false.
    """
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest("Input should be true or false", path=path)
    return bool(value)


def read_choice(value: Any, choices: Collection[str], path: str) -> str:
    """Read one of a few words.

    Raises:
        InvalidRequest: It is another one.
    """
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(f"Input should be {_listed(choices)}", path=path)
    return value


def refuse_others(fields: Mapping[str, Any], known: Collection[str], path: str) -> None:
    """Refuse every field that is not known; null asks for nothing, so it is never refused.

    Raises:
        InvalidRequest: There is one.
    """
    for name, value in fields.items():
        if name not in known and value is not None:
            raise InvalidRequest("This field is not supported here", path=f"{path}.{name}" if path else name)


def _listed(choices: Collection[str]) -> str:
    *others, last = [f"'{choice}'" for choice in sorted(choices)]
    return f"{', '.join(others)} or {last}" if others else last
