"""Knows that docs/openai.md says what becomes of every field and every error; it must not know how it reads."""

from __future__ import annotations

import re
from pathlib import Path

from pinnace.core.wire.openai.errors import TABLE
from pinnace.core.wire.openai.parameters import DEFAULT_MAX_TOKENS, IGNORED, REFUSED
from pinnace.core.wire.openai.requests import KNOWN

PAGE = (Path(__file__).parents[4] / "docs" / "openai.md").read_text(encoding="utf-8")


def fields(heading: str) -> set[str]:
    """The fields in the first column of a table."""
    table = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_field_is_in_its_table() -> None:
    assert fields("ignored") == IGNORED
    assert fields("refused") == set(REFUSED)
    assert fields("carried") == KNOWN - IGNORED - set(REFUSED)


def test_the_page_tells_the_limit_that_holds_where_none_is_given() -> None:
    assert f"without them {DEFAULT_MAX_TOKENS}," in PAGE


def test_every_error_is_in_the_table() -> None:
    rows = PAGE.split("| status | `type` | `code` |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    for kind, code in TABLE.values():
        assert any(f"| `{kind}` |" in row and (f"`{code}`" if code else "null") in row for row in rows), (kind, code)
