"""Knows how it is found out whether the stores that are servers of their own can be used; it must not know what they keep."""

from __future__ import annotations

from pinnace.core.errors import Misconfigured, StoreFailed
from pinnace.core.model.answers import AnswerId, AnswerKind
from pinnace.core.model.diagnosis import Finding
from pinnace.core.settings import Settings
from pinnace.core.stores.tenancy import open_stores

NAME = "stores"


async def look_at_stores(settings: Settings) -> list[Finding]:
    """Ask each of them for something; where everything lies in the data directory there is nothing to ask."""
    served = ["DynamoDB"] * (settings.store == "dynamodb") + ["Redis"] * (settings.redis.url is not None)
    if not served:
        return []
    remedy = "Look at aws.* and redis.* in the settings, and whether this machine reaches them."
    try:
        stores = open_stores(settings)
    except Misconfigured as error:
        return [Finding(NAME, "failed", error.message, f"Correct {error.key}.")]
    try:
        await stores.directory.has_keys()
        # Redis keeps the answers, where it keeps anything.
        await stores.answers.look(AnswerId(AnswerKind.CACHE, "doctor", "doctor"), 0.0)
    except StoreFailed as error:
        return [Finding(NAME, "failed", error.message, remedy)]
    finally:
        await stores.close()
    return [Finding(NAME, "ok", f"{' and '.join(served)} can be used.", None)]
