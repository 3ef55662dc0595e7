"""Knows by which names a server is called that has nobody to ask for a key; it must not know how a name came.

A page in a browser may have its own name answer with the address of this machine ("DNS rebinding"): then it is of the server's
own origin, and every request that it makes is let through. What gives it away is the name, which stands in `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

#: Names that mean this machine wherever they are asked for: RFC 6761 section 6.3, and what Docker and Podman call it inside.
LOCAL = frozenset({"localhost", "host.docker.internal", "gateway.docker.internal", "host.containers.internal"})


def is_called_by_a_safe_name(host: str | None, listed: Collection[str]) -> bool:
    """Whether a request is for this machine, by an address or by a name that nobody else can give out.

    Args:
        host: Its `Host`, with or without a port; a client that sends none is no browser.
        listed: More names that are safe.
    """
    if host is None:
        return True
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    if name in LOCAL or name.endswith(".localhost") or name in {one.lower() for one in listed}:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
