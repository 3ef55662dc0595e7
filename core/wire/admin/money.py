"""Knows how dollars are written: as decimal numbers or strings on the way in, as decimal strings on the way out."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

#: A trillion dollars, in millionths; what is more is a mistake.
MOST = 10**18
LIMIT = Decimal(10**12)
STEP = Decimal("0.000001")


def to_microusd(value: Any) -> int:
    """Read dollars; a binary float is taken as the decimal number that its writer saw.

    Raises:
        ValueError: it is no amount, or finer than a millionth of a dollar.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError('must be dollars, such as 10 or "10.50"')
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError('must be dollars, such as 10 or "10.50"') from None
    # Compared before anything is computed: "1e999990" is half a minute of arithmetic.
    if amount.is_finite() and not -LIMIT <= amount <= LIMIT:
        raise ValueError(f"must be at most {LIMIT:,} dollars")
    if not amount.is_finite() or amount != amount.quantize(STEP):
        raise ValueError("must be a number of dollars with at most six decimals")
    return int(amount.quantize(STEP) * 1_000_000)


def dollars(microusd: int) -> str:
    """Write millionths of a dollar: `0.000450`."""
    sign = "-" if microusd < 0 else ""
    return f"{sign}{abs(microusd) // 1_000_000}.{abs(microusd) % 1_000_000:06}"


Dollars = Annotated[
    int,
    BeforeValidator(to_microusd),
    Field(ge=0),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d{1,6})?$"}]}),
]
