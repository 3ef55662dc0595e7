"""Knows how what must follow an answer is done without taking the answer back; it must not know what it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from pinnace.core.errors import StoreFailed

log = logging.getLogger("pinnace.store")


async def afterwards(doing: Awaitable[Any], failed: str, **fields: object) -> None:
    """Do something to its end, also where the caller is cancelled.

    A store that fails is logged, with `failed` and `fields`, and not raised: the answer was made and paid for, and taking it
    back would have it made and paid for twice. What a store forgot to give back expires by itself, and counts until then.
    """
    try:
        await asyncio.shield(doing)
    except StoreFailed as error:
        log.error(failed, extra={**fields, "reason": str(error)})
