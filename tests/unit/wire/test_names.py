"""Knows which names in `Host` a server without keys answers to."""

from __future__ import annotations

import pytest

from pinnace.core.wire.names import is_called_by_a_safe_name


@pytest.mark.parametrize(
    "host",
    [
        None,
        "127.0.0.1:8787",
        "192.0.2.7",
        "[::1]:8787",
        "[::1]",
        "localhost",
        "LOCALHOST:8787",
        "localhost.:8787",
        "pinnace.localhost:8787",
        "host.docker.internal:8787",
        "Agent.example:8787",
    ],
)
def test_addresses_local_names_and_listed_ones_are_safe(host: str | None) -> None:
    assert is_called_by_a_safe_name(host, ["agent.EXAMPLE"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "",
        "[evil]",
    ],
)
def test_names_that_somebody_else_gives_out_are_not(host: str) -> None:
    assert not is_called_by_a_safe_name(host, ["agent.example"])
