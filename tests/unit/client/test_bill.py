from __future__ import annotations

import io
from decimal import Decimal

from anthropic.types import Usage
from rich.console import Console

from pinnace.client.bill import Item, item, table, total


def test_cached_tokens_are_counted_once_and_priced_as_such() -> None:
    usage = Usage(input_tokens=100, output_tokens=10, cache_creation_input_tokens=20, cache_read_input_tokens=1000)
    line = item("an answer", "claude-sonnet-4-5", usage)
    assert line == Item("an answer", "claude-sonnet-4-5", 1120, 20, 1000, 10)
    # $3 a million in, $3.75 written to the cache, $0.30 read from it, $15 out.
    assert line.cost == (Decimal(100) * 3 + 20 * Decimal("3.75") + 1000 * Decimal("0.3") + 10 * 15) / 1_000_000


def test_a_model_without_a_price_costs_nothing_and_says_so() -> None:
    unknown = Item("an answer", "no-such-model", 10, 0, 0, 10)
    known = Item("another", "claude-sonnet-4-5", 1000, 0, 0, 0)
    assert unknown.cost is None
    assert total([unknown, known]) == Decimal("0.003")
    written = io.StringIO()
    Console(file=written, width=100).print(table([unknown, known]))
    assert "no price known" in written.getvalue()
    assert "$0.003000" in written.getvalue()
