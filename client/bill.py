"""Knows what answers would cost at the published prices and how to show it; it must not know how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from genai_prices import Usage, calc_price
from rich.table import Table


class Counted(Protocol):
    """The usage of an answer, whichever of the `anthropic` package's types it has."""

    @property
    def input_tokens(self) -> int: ...

    @property
    def output_tokens(self) -> int: ...

    @property
    def cache_creation_input_tokens(self) -> int | None: ...

    @property
    def cache_read_input_tokens(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One answer on the bill. `input_tokens` holds those written to the cache and read from it too."""

    what: str
    model: str
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    output_tokens: int

    @property
    def cost(self) -> Decimal | None:
        """Dollars; None where nobody has published a price for the model."""
        usage = Usage(
            input_tokens=self.input_tokens,
            cache_write_tokens=self.cache_write_tokens,
            cache_read_tokens=self.cache_read_tokens,
            output_tokens=self.output_tokens,
        )
        try:
            return calc_price(usage, self.model, provider_id="anthropic").total_price
        except LookupError:
            return None


def item(what: str, model: str, usage: Counted) -> Item:
    """Read an answer's usage; the API counts cached tokens beside the others, the price list among them."""
    written, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
    return Item(what, model, usage.input_tokens + written + read, written, read, usage.output_tokens)


def total(items: Sequence[Item]) -> Decimal:
    """Sum up what has a price."""
    return sum((line.cost or Decimal(0) for line in items), Decimal(0))


def table(items: Sequence[Item]) -> Table:
    """Lay the bill out."""
    laid = Table("answer", "model", box=None, pad_edge=False)
    for heading in ("input", "output", "would have cost"):
        laid.add_column(heading, justify="right")
    for line in items:
        cost = "no price known" if line.cost is None else f"${line.cost:.6f}"
        laid.add_row(line.what, line.model, f"{line.input_tokens:,}", f"{line.output_tokens:,}", cost)
    return laid
