"""Knows what tokens cost by the published list and by a file of one's own, and that a bound is never too low."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnace.core.adapters.prices import WINDOW, OwnPrice, PriceList, read_own
from pinnace.core.errors import Misconfigured
from pinnace.core.ports import CacheLife

MILLION = 1_000_000
LIVES: list[CacheLife | None] = [None, "5m", "1h"]
LISTED = [model.id for provider in providers if provider.id == "anthropic" for model in provider.models]
#: Five different figures, so that none can stand in another's place.
OWN = PriceList({"house-model": OwnPrice(Decimal(3), Decimal(15), Decimal("0.5"), Decimal(4), Decimal(7))})


@dataclass(frozen=True)
class Spent:
    """What a call was bounded by, and something that it can have used within the bound."""

    input: int
    output: int
    cache: CacheLife | None
    usage: dict[str, int]


def up_to(most: int) -> st.SearchStrategy[int]:
    """All of it as often as some: a bound that is too low shows at its edge."""
    return st.just(most) | st.integers(0, most)


@st.composite
def calls(draw: st.DrawFn) -> Spent:
    """Calls that read and write at most so much, and write no longer-lived cache than they ask for."""
    most_input, most_output = draw(st.integers(0, MILLION)), draw(st.integers(0, 128_000))
    cache = draw(st.sampled_from(LIVES))
    total = draw(up_to(most_input))
    written = 0 if cache is None else draw(up_to(total))
    read = draw(up_to(total - written))
    usage = {
        "input_tokens": total - written - read,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": draw(up_to(most_output)),
    }
    if cache == "1h":
        usage["cache_creation_1h_input_tokens"] = draw(up_to(written))
    return Spent(most_input, most_output, cache, usage)


def within_bound(prices: PriceList, model: str, spent: Spent) -> bool:
    bound = prices.bound(model, spent.input, spent.output, cache=spent.cache)
    cost = prices.cost(model, spent.usage)
    return bound is not None and cost is not None and cost <= bound


@pytest.mark.parametrize("model", LISTED)
@settings(max_examples=30)
@given(spent=calls())
def test_no_call_costs_more_than_its_bound(model: str, spent: Spent) -> None:
    assert within_bound(PriceList(), model, spent)


@given(calls())
def test_a_price_of_ones_own_bounds_a_call_too(spent: Spent) -> None:
    assert within_bound(OWN, "house-model", spent)


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"input_tokens": MILLION}, 3),
        ({"output_tokens": MILLION}, 15),
        ({"cache_read_input_tokens": MILLION}, 0.5),
        ({"cache_creation_input_tokens": MILLION}, 4),
        ({"cache_creation_input_tokens": MILLION, "cache_creation_1h_input_tokens": MILLION}, 7),
        ({"cache_creation_input_tokens": 2 * MILLION, "cache_creation_1h_input_tokens": MILLION}, 11),
        ({"input_tokens": MILLION, "cache_read_input_tokens": MILLION, "output_tokens": MILLION}, 18.5),
        ({"some_new_count": MILLION}, 0),
        ({}, 0),
    ],
)
def test_every_kind_of_token_has_its_own_price(usage: Mapping[str, int], dollars: float) -> None:
    assert OWN.cost("house-model", usage) == dollars * MILLION


def test_the_list_tells_cached_tokens_from_others_and_short_lived_from_long_lived() -> None:
    prices = PriceList()

    def cost(**usage: int) -> int:
        found = prices.cost("claude-sonnet-5", usage)
        assert found is not None
        return found

    plain = cost(input_tokens=1_000)
    read = cost(cache_read_input_tokens=1_000)
    written = cost(cache_creation_input_tokens=1_000)
    kept = cost(cache_creation_input_tokens=1_000, cache_creation_1h_input_tokens=1_000)
    assert 0 < read < plain < written < kept
    everything = cost(
        input_tokens=1_000,
        cache_read_input_tokens=1_000,
        cache_creation_input_tokens=2_000,
        cache_creation_1h_input_tokens=1_000,
    )
    assert everything == plain + read + written + kept


@pytest.mark.parametrize("model", ["claude-sonnet-5", "claude-haiku-4-5", "house-model"])
def test_a_call_in_a_batch_costs_half(model: str) -> None:
    usage = {
        "input_tokens": 1_000,
        "output_tokens": 1_000,
        "cache_read_input_tokens": 1_000,
        "cache_creation_input_tokens": 2_000,
        "cache_creation_1h_input_tokens": 1_000,
    }
    whole, batched = OWN.cost(model, usage), OWN.cost(model, usage | {"batch_calls": 1})
    assert whole is not None
    assert whole > 0
    assert batched == whole / 2


def test_searches_of_the_web_cost_by_the_list() -> None:
    prices = PriceList()
    assert prices.cost("claude-sonnet-5", {"web_search_requests": 3}) == 3 * 10_000


@pytest.mark.parametrize(
    ("elsewhere", "name"),
    [
        ("eu.anthropic.claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("global.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-6-v1", "claude-opus-4-6"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
    ],
)
def test_the_name_of_another_provider_has_the_models_price(elsewhere: str, name: str) -> None:
    prices, usage = PriceList(), {"input_tokens": 1_000, "output_tokens": 1_000}
    assert prices.cost(name, usage)
    assert prices.cost(elsewhere, usage) == prices.cost(name, usage)
    assert prices.context_window(elsewhere) == prices.context_window(name)


@pytest.mark.parametrize("model", ["", "claude", "claude-nonesuch-1", "gpt-4o", "eu.anthropic.claude-nonesuch-1"])
def test_an_unknown_model_has_no_price_and_the_largest_window(model: str) -> None:
    prices = PriceList()
    assert prices.cost(model, {"input_tokens": 1}) is None
    assert prices.bound(model, 1, 1, cache="1h") is None
    assert prices.context_window(model) == WINDOW


def test_the_list_says_how_much_a_model_reads() -> None:
    assert PriceList().context_window("claude-haiku-4-5") == 200_000


def test_it_is_said_which_list_it_is() -> None:
    name, _, number = PriceList().as_of.partition(" ")
    assert name == "genai-prices"
    # The date of every release that is locked is known.
    assert re.fullmatch(r"[0-9.]+ \(\d{4}-\d\d-\d\d\)", number)


def test_a_price_of_ones_own_comes_before_the_list_and_serves_the_names_of_other_providers() -> None:
    own = PriceList({"claude-sonnet-5": OwnPrice(*[Decimal(100)] * 5)})
    for name in ("claude-sonnet-5", "eu.anthropic.claude-sonnet-5", "claude-sonnet-5@20260101"):
        assert own.cost(name, {"input_tokens": MILLION}) == 100 * MILLION
    assert own.cost("claude-haiku-4-5", {"input_tokens": MILLION}) == PriceList().cost(
        "claude-haiku-4-5", {"input_tokens": MILLION}
    )


def test_a_price_may_be_given_for_one_providers_name_alone() -> None:
    own = PriceList({"eu.anthropic.claude-sonnet-5": OwnPrice(*[Decimal(100)] * 5)})
    assert own.cost("eu.anthropic.claude-sonnet-5", {"input_tokens": MILLION}) == 100 * MILLION
    assert own.cost("claude-sonnet-5", {"input_tokens": MILLION}) != 100 * MILLION


def test_a_bound_is_rounded_up_and_never_down() -> None:
    own = PriceList({"cheap": OwnPrice(*[Decimal("0.1")] * 5)})
    assert own.bound("cheap", 1, 0, cache=None) == 1
    assert own.cost("cheap", {"input_tokens": 1}) == 0


def test_a_file_of_prices_needs_input_and_output_alone(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('["house-model"]\ninput = 2.5\noutput = 10\n', encoding="utf-8")
    assert read_own(file) == {
        "house-model": OwnPrice(Decimal("2.5"), Decimal(10), Decimal("0.25"), Decimal("3.125"), Decimal(5))
    }


def test_a_file_of_prices_may_say_what_the_cache_costs(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(
        "[one]\ninput = 1\noutput = 2\ncache_read = 0.1\ncache_write = 3\ncache_write_1h = 4\n[two]\ninput=0\noutput=0\n",
        encoding="utf-8",
    )
    assert read_own(file) == {
        "one": OwnPrice(Decimal(1), Decimal(2), Decimal("0.1"), Decimal(3), Decimal(4)),
        "two": OwnPrice(*[Decimal(0)] * 5),
    }


@pytest.mark.parametrize(
    "broken",
    [
        b"[model",
        b"\xff\xfe",
        b"model = 3",
        b'model = "3"',
        b"[[model]]\ninput = 1\noutput = 1",
        b"[model]",
        b"[model]\ninput = 1",
        b"[model]\noutput = 1",
        b"[model]\ninput = -1\noutput = 1",
        b"[model]\ninput = 1\noutput = 1\ncache_read = -0.1",
        b"[model]\ninput = nan\noutput = 1",
        b"[model]\ninput = inf\noutput = 1",
        b'[model]\ninput = "cheap"\noutput = 1',
        b"[model]\ninput = 2026-01-01\noutput = 1",
        b"[model]\ninput = true\noutput = 1",
        b"[model]\ninput = [0, [1], 0]\noutput = 1",
        b"[model]\ninput = { a = 1 }\noutput = 1",
        b"[model]\ninput = 1\noutput = 1\ndiscount = 1",
        # Without quotes the dot makes a table within a table.
        b"[claude-sonnet-4.5]\ninput = 1\noutput = 1",
    ],
)
def test_a_file_that_holds_no_prices_is_refused_by_the_settings_name(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(broken)
    with pytest.raises(Misconfigured) as caught:
        read_own(file)
    assert caught.value.key == "prices.file"


def test_a_file_that_cannot_be_read_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(Misconfigured) as caught:
            read_own(path)
        assert caught.value.key == "prices.file"
