"""Knows what models cost, from the published list of `genai-prices` and a file of one's own; it must not know who pays.

The API counts cached tokens beside the others, the list counts them among them; the difference stops here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pinnace.core.errors import Misconfigured
from pinnace.core.ports import CacheLife

MICRO = Decimal(1_000_000)
#: The API counts tokens for the longer-lived cache among those for any.
_LONG_LIVED = ("cache_creation_input_tokens", "cache_creation_1h_input_tokens")
#: What a call in one of the API's own batches costs of the whole price (https://platform.claude.com/docs/en/about-claude/pricing).
BATCH = Decimal("0.5")
#: Models whose window is not looked up again.
REMEMBERED = 1_000
#: Tokens that a model reads at most where the list does not say.
WINDOW = 1_000_000
#: When the lists were published that a release of `genai-prices` holds; the package does not say it itself.
PUBLISHED = {"0.2.3": "2026-11-10"}
#: What Bedrock and Vertex put around a model's name: `eu.anthropic.claude-x-v1:0`, `claude-x@20251001`.
_AROUND = re.compile(
    r"^(?:[a-z]{2,6}(?:-[a-z]+)?\.)?(?:anthropic\.)?(claude[a-z0-9.-]*?)(?:-v\d+(?::\d+)?|@[0-9a-z-]+)?$"
)


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """Dollars for a million tokens of each kind."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal


class PriceList:
    """`Prices`; `own` are prices that come before those of the list."""

    def __init__(self, own: Mapping[str, OwnPrice] | None = None) -> None:
        self._own = own or {}
        self._windows: dict[str, int] = {}

    @property
    def as_of(self) -> str:
        """The list is part of a package, whose version says which one it is; a newer one than is known here has no date."""
        release = version("genai-prices")
        published = PUBLISHED.get(release)
        return f"genai-prices {release}" + (f" ({published})" if published else "")

    def cost(self, model: str, usage: Mapping[str, int]) -> int | None:
        exact = self._exact(model, usage)
        return None if exact is None else int((exact * MICRO).to_integral_value(ROUND_HALF_EVEN))

    def bound(self, model: str, input_tokens: int, output_tokens: int, *, cache: CacheLife | None) -> int | None:
        # Nothing costs more than to write the longest-lived cache, and nothing writes one that is not asked for.
        kinds = {None: ("input_tokens",), "5m": ("cache_creation_input_tokens",), "1h": _LONG_LIVED}[cache]
        exact = self._exact(model, dict.fromkeys(kinds, input_tokens) | {"output_tokens": output_tokens})
        return None if exact is None else int((exact * MICRO).to_integral_value(ROUND_CEILING))

    def context_window(self, model: str) -> int:
        window = self._windows.get(model)
        if window is None:
            window = self._find_window(model)
            # Names come from callers, so only a bounded number of them is remembered.
            if len(self._windows) < REMEMBERED:
                self._windows[model] = window
        return window

    def _find_window(self, model: str) -> int:
        from genai_prices import Usage, calc_price  # noqa: PLC0415 - 200 ms of import

        try:
            listed = calc_price(Usage(), _plain(model), provider_id="anthropic").model.context_window or WINDOW
        except LookupError:
            return WINDOW
        within = self._exact(model, {"input_tokens": listed}) or Decimal(0)
        beyond = self._exact(model, {"input_tokens": WINDOW}) or Decimal(0)
        # A price of its own for more than the model is said to read means that somewhere it reads more.
        return listed if beyond * listed == within * WINDOW else max(listed, WINDOW)

    def _exact(self, model: str, usage: Mapping[str, int]) -> Decimal | None:
        counted = _Counted.of(usage)
        own = self._own.get(model) or self._own.get(_plain(model))
        if own:
            return _own_cost(own, counted)
        exact = _listed_cost(model, counted)
        return _listed_cost(_plain(model), counted) if exact is None else exact


@dataclass(frozen=True, slots=True)
class _Counted:
    """Tokens by kind; each is counted in one of them."""

    input: int
    output: int
    read: int
    written: int
    written_1h: int
    searches: int
    batch: bool

    @classmethod
    def of(cls, usage: Mapping[str, int]) -> _Counted:
        long_lived = usage.get("cache_creation_1h_input_tokens", 0)
        return cls(
            usage.get("input_tokens", 0),
            usage.get("output_tokens", 0),
            usage.get("cache_read_input_tokens", 0),
            max(0, usage.get("cache_creation_input_tokens", 0) - long_lived),
            long_lived,
            usage.get("web_search_requests", 0),
            usage.get("batch_calls", 0) > 0,
        )


def _own_cost(price: OwnPrice, counted: _Counted) -> Decimal:
    total = counted.input * price.input + counted.output * price.output + counted.read * price.cache_read
    total += counted.written * price.cache_write + counted.written_1h * price.cache_write_1h
    return total * (BATCH if counted.batch else 1) / MICRO


def _listed_cost(model: str, counted: _Counted) -> Decimal | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - 200 ms of import

    written = counted.written + counted.written_1h
    usage = Usage(
        input_tokens=counted.input + counted.read + written,
        output_tokens=counted.output,
        cache_read_tokens=counted.read,
        cache_write_tokens=written,
        cache_write_1h_tokens=counted.written_1h,
        web_searches=counted.searches,
    )
    try:
        # The list has a price of its own for a batch, which is half of the other for every model that has one.
        context = {"processing": "batch"} if counted.batch else None
        return calc_price(usage, model, provider_id="anthropic", price_context=context).total_price
    except LookupError:
        return None


def _plain(model: str) -> str:
    found = _AROUND.match(model)
    return found[1] if found else model


def read_own(path: Path) -> dict[str, OwnPrice]:
    """Read a file of prices: a table a model, dollars for a million tokens.

    `input` and `output` must be there; `cache_read`, `cache_write` and `cache_write_1h` are a tenth, five quarters and twice
    the input's where they are not.

    Raises:
        Misconfigured: the file cannot be read, or a price is none.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return {model: _own_price(table) for model, table in tables.items()}
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}", key="prices.file") from error
    except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(
            f'{path} must hold a table for each model, such as ["claude-x"] with input and output', key="prices.file"
        ) from error


def _own_price(table: Mapping[str, Any]) -> OwnPrice:
    if not all(type(value) in (int, Decimal) for value in table.values()):
        raise TypeError("a price is no number")
    given = {name: Decimal(value) for name, value in table.items()}
    base = {
        "cache_read": given["input"] / 10,
        "cache_write": given["input"] * 5 / 4,
        "cache_write_1h": given["input"] * 2,
    }
    price = OwnPrice(**base | given)
    if any(value < 0 or not value.is_finite() for value in (base | given).values()):
        raise ValueError("a price is negative")
    return price
