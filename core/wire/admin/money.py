"""Knows how dollars are written: as decimal numbers or strings on the way in, as decimal strings on the way out."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

#: A trillion dollars; what is more is a mistake.
MOST = 10**12 * 1_000_000


def to_microusd(value: Any) -> int:
    """Read dollars; a binary float is taken as the decimal number that its writer saw.

    Raises:
        ValueError: it is no amount, or finer than a millionth of a dollar.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be dollars, such as 10 or \"10.50\"")  # noqa: TRY004 - pydantic wants a ValueError
    try:
        micro = Decimal(str(value)) * 1_000_000
        whole = micro.to_integral_value()
    except InvalidOperation:
        raise ValueError("must be dollars, such as 10 or \"10.50\"") from None
    if not micro.is_finite() or micro != whole:
        raise ValueError("must be a number of dollars with at most six decimals")
    return int(whole)


def dollars(microusd: int) -> str:
    """Write millionths of a dollar: `0.000450`."""
    sign = "-" if microusd < 0 else ""
    return f"{sign}{abs(microusd) // 1_000_000}.{abs(microusd) % 1_000_000:06}"


Dollars = Annotated[
    int,
    BeforeValidator(to_microusd),
    Field(ge=0, le=MOST),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d{1,6})?$"}]}),
]
