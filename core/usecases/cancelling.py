"""Knows how something is taken so that a caller who is cancelled meanwhile has not taken it; it must not know what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def surely(taking: Awaitable[T], undo: Callable[[], Awaitable[Any]]) -> T:
    """Wait for something to be taken; where the wait is cancelled, let it be taken, and undo that.

    A store works in a thread that no cancellation reaches, so what is taken there would be nobody's until it expires.
    """
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.shield(_undone(task, undo))
        raise


async def _undone(task: asyncio.Future[Any], undo: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        await undo()
