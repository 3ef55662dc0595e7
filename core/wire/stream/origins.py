"""Knows which web pages may open a socket; it must not know how their origin came.

A browser lets every page open a WebSocket to every server, asks nobody, and names the page's origin. So the server has to look.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


def is_admitted(origin: str | None, host: str | None, listed: Collection[str]) -> bool:
    """Whether a client may connect.

    Args:
        origin: Its `Origin`; a client that is no browser has none.
        host: Its `Host`, which is the server as the page's browser names it.
        listed: The origins that may, besides the server's own; `*` is all of them.
    """
    if origin is None or "*" in listed or origin in listed:
        return True
    try:
        own = urlsplit(origin).netloc
    except ValueError:
        return False
    # The scheme is left out: behind a proxy that ends TLS the page's is https, and the server knows nothing of it.
    return bool(own) and own.lower() == (host or "").lower()
