"""Knows how Redis is reached: its address, its clients, the form of its keys; it must not know what is kept there.

A connection of asyncio belongs to an event loop, so each loop that asks has clients of its own, which are closed where it ends.
Nothing is sent twice: an operation whose answer is lost has failed, and may have been done.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from redis.asyncio import ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.asyncio.connection import Connection as TcpConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import MovedError, RedisClusterException, RedisError

from pinnace.core.errors import Misconfigured, StoreFailed

Client = Redis | RedisCluster
Argument = str | int | float | bytes
#: Seconds that an operation takes at most, with the connecting that it may need.
PATIENCE = 5.0
#: Operations of one event loop that are under way at once; each has a connection of its own.
AT_ONCE = 32
#: Milliseconds that a key outlives what it holds: the servers' clocks differ, and only their times decide what has expired.
SPARE = 60_000


class _Clients:
    """The clients of one event loop; `cluster` once the server said that it is part of one."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.single = Redis.from_pool(ConnectionPool(**options))
        self.cluster: RedisCluster | None = None
        self.turns = asyncio.Semaphore(AT_ONCE)
        self._options = options
        self._learning = asyncio.Lock()

    async def learn_cluster(self) -> RedisCluster:
        """Find out which node has what; until that is known, redis-py sends scripts anywhere."""
        async with self._learning:
            if self.cluster is None:
                self.cluster = await _cluster(self._options).initialize()
            return self.cluster

    async def aclose(self) -> None:
        for client in (self.single, self.cluster):
            if client is not None:
                # What cannot be closed is broken, and holds nothing that matters.
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()


class Connection:
    """One server or cluster, reached when it is first needed; `prefix` is that of every key, `patience` in seconds.

    Raises:
        Misconfigured: `url` is none.
    """

    def __init__(self, url: str, prefix: str, patience: float = PATIENCE) -> None:
        self._options = _options(url)
        self._prefix = prefix
        self._patience = patience
        self._living: dict[asyncio.AbstractEventLoop, tuple[_Clients, AsyncGenerator[_Clients, None]]] = {}

    def key(self, group: Sequence[str], *names: str) -> str:
        """Name a key. Those of one group are on one node of a cluster, by their hash tag."""
        # Quoted, so that no part can end another: neither `:` nor a brace is left in one.
        tag, *rest = (":".join(quote(part, safe="") for part in parts) for parts in (group, names))
        return ":".join([self._prefix, f"{{{tag}}}", *rest])

    async def call(self, script: str, keys: Sequence[str], *arguments: Argument) -> Any:
        """Run a script, which happens as a whole or not at all; the keys are of one group.

        Raises:
            StoreFailed: Redis does not answer in time, or refuses.
        """
        # A float is written with as many digits as it has.
        given = [repr(argument) if isinstance(argument, float) else argument for argument in arguments]
        return await self._ask(lambda client: client.register_script(script)(keys, given))

    async def fields(self, key: str, *names: str) -> list[bytes | None]:
        """Read fields of a hash, all at one moment; None for what is not there.

        Raises:
            StoreFailed: Redis does not answer in time, or refuses.
        """
        found: list[bytes | None] = await self._ask(lambda client: client.hmget(key, list(names)))
        return found

    async def aclose(self) -> None:
        """Close what this event loop opened; a later call opens it again."""
        _, living = self._living.pop(asyncio.get_running_loop(), (None, None))
        if living is not None:
            await living.aclose()

    async def _ask(self, work: Callable[[Client], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(self._patience):
                clients = await self._clients()
                async with clients.turns:
                    try:
                        return await work(clients.cluster or clients.single)
                    except MovedError:
                        # It is a cluster, and this was not the node that has the key: nothing was done.
                        return await work(await clients.learn_cluster())
        except (RedisError, RedisClusterException, OSError) as error:
            # Another server has taken over: the address leads to it, but no connection that is open. It is no ReadOnlyError where
            # a script is told so, before Redis 7.
            if "READONLY" in str(error):
                await self.aclose()
            raise StoreFailed("The server's store cannot be reached at the moment.") from error

    async def _clients(self) -> _Clients:
        loop = asyncio.get_running_loop()
        if loop not in self._living:
            living = self._live(loop)
            # It waits for nothing before it yields, so no other task comes between.
            self._living[loop] = (await anext(living), living)
        return self._living[loop][0]

    async def _live(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[_Clients, None]:
        """Have clients until the generator is closed: `asyncio.run` does that, and no other code runs where a loop ends."""
        clients = _Clients(self._options)
        try:
            yield clients
        finally:
            self._living.pop(loop, None)
            await clients.aclose()


def lifetime(seconds: float) -> int:
    """The milliseconds that Redis keeps what is of use for so many seconds."""
    return max(0, math.ceil(seconds * 1000)) + SPARE


def _options(url: str) -> dict[str, Any]:
    """What a connection is made with; pinnace's own options come before those that the URL may have."""
    own: dict[str, Any] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
        # Most scripts must not run twice.
        "retry": Retry(NoBackoff(), 0),
        # Nothing of the third version is used, and proxies know the second; it saves a round trip for each connection.
        "protocol": 2,
        "driver_info": None,
        "decode_responses": False,
    }
    try:
        options: dict[str, Any] = {"connection_class": TcpConnection, **parse_url(url), **own}
        # Made and not opened, since only that says whether it knows the options.
        options["connection_class"](**{name: options[name] for name in options.keys() - {"connection_class"}})
    except (TypeError, ValueError, RedisError):
        # Without the cause, which may quote a password.
        raise Misconfigured(
            "must be an address as redis-py reads it, such as redis://user:password@127.0.0.1:6379/0",
            key="redis.url",
        ) from None
    return options


def _cluster(options: dict[str, Any]) -> RedisCluster:
    given = dict(options)
    kind = given.pop("connection_class")
    # 0, since every so many slots that have moved it would close all connections, also those in use.
    return RedisCluster(**given, ssl=issubclass(kind, SSLConnection), reinitialize_steps=0)
