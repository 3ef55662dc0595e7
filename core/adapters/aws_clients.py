"""Knows how a client of AWS is made: a session of its own, and how patient it is; it must not know what the client is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.config import Config

_ATTEMPTS = 4
#: Seconds.
_CONNECT_TIMEOUT = 3.0


def session_of(region: str | None, access_key_id: str | None, secret_access_key: str | None) -> Session:
    """Make a session, because the default one must not be used by several threads; botocore finds out what is not given."""
    import boto3  # noqa: PLC0415 - heavy, and not every host has it

    return boto3.Session(access_key_id, secret_access_key, region_name=region)


def config_of(connections: int, read_timeout: float, **options: Any) -> Config:
    """Allow so many connections at once, which wait so many seconds for an answer; `options` are the service's own."""
    from botocore.config import Config  # noqa: PLC0415 - heavy, see `session_of`

    return Config(
        max_pool_connections=connections,
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        **options,
    )
