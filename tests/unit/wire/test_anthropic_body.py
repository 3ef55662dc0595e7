"""Knows which bytes are a body that can be carried; it must not know what a body means."""

from __future__ import annotations

import orjson
import pytest

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.anthropic.body import parse_object

SAFE = 2**53 - 1


def refusal(raw: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_object(raw)
    return caught.value


def test_a_hundred_levels_are_carried() -> None:
    assert parse_object(b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "The body is not valid JSON: Input is a zero-length, empty document (line 1, column 1)"),
        (b'{"a":\n1,}', "(line 2, column 2)"),
        (b'{"a": NaN}', "The body is not valid JSON"),
        (b'{"a": 1e999}', "The body is not valid JSON"),
        (b'{"a": "\\ud800"}', "The body is not valid JSON"),
        (b'{"a": "\xff"}', "The body is not valid JSON"),
        (b"[1]", "The body must be a JSON object"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_place(raw: bytes, words: str) -> None:
    assert words in str(refusal(raw))


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**64 - 1, 2**64, -(2**63) - 1, 10**40])
def test_an_integer_that_a_double_cannot_hold_is_refused_by_its_path(number: int) -> None:
    assert refusal(b'{"a": [{"b": 1}, {"c": [1e300, %d]}]}' % number).path == "a.1.c.1"


def test_numbers_that_a_double_holds_pass() -> None:
    numbers = {"x": [SAFE, -SAFE, 1e300, 2.0**64]}
    assert parse_object(orjson.dumps(numbers)) == numbers
