"""Knows how a socket is accepted, refused and left, with a client and an agent of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from clocks import HandClock
from house import MODEL, House, build_house
from starlette.routing import Router

from pinnace.core.adapters.memory.access_log import MemoryAccessLog
from pinnace.core.adapters.memory.batches import MemoryBatches
from pinnace.core.adapters.memory.blobs import MemoryBlobs
from pinnace.core.adapters.memory.directory import MemoryDirectory
from pinnace.core.adapters.memory.work_queue import MemoryWorkQueue
from pinnace.core.errors import StoreFailed
from pinnace.core.settings import Settings
from pinnace.core.usecases.access import Access
from pinnace.core.usecases.batching import BatchBook
from pinnace.handlers._http import Border
from pinnace.handlers.metrics import NoMetrics
from pinnace.handlers.services import Services
from pinnace.handlers.stream import Stream
from pinnace.handlers.websocket.open_sockets import OpenSockets

Message = dict[str, Any]
KEY = "right"
SAID: list[Message] = [
    {"type": "message_start", "message": {"id": "msg_1", "model": MODEL, "content": [], "usage": {}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "aye"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
    {"type": "message_stop"},
]


class BrokenDirectory(MemoryDirectory):
    """A directory whose disk is gone."""

    async def has_keys(self) -> bool:
        raise StoreFailed("The store cannot be read.")


class Client:
    """The other end of one socket, as a host would pass it on."""

    def __init__(self, app: Any, **headers: str) -> None:
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": "/api/v1/stream",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        self.task = asyncio.ensure_future(app(scope, self._inbox.get, self._send))

    async def _send(self, message: Message) -> None:
        self._outbox.put_nowait(message)
        if message["type"] == "websocket.close":
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    def say(self, **frame: Any) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})

    def go(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def hear(self) -> Any:
        """The next frame, or the code of the close."""
        async with asyncio.timeout(5):
            message = await self._outbox.get()
            if message["type"] == "websocket.accept":
                message = await self._outbox.get()
        return message["code"] if message["type"] == "websocket.close" else json.loads(message["text"])


class Harbour:
    """An app with this endpoint alone."""

    def __init__(self, directory: MemoryDirectory, patience: float = 5.0, key: str | None = KEY) -> None:
        self.house: House = build_house()
        self.house.runner.lines = SAID
        self.sockets = OpenSockets()
        self.clients: list[Client] = []
        clock = HandClock(1_795_255_200.0)
        services = Services(
            settings=Settings(),
            runner=self.house.runner,
            counter=cast("Any", None),
            clock=clock,
            metrics=NoMetrics(),
            access_log=MemoryAccessLog(),
            version="0",
            access=Access(directory, clock, api_key=key),
            calls=self.house.calls,
            batches=BatchBook(MemoryBatches(), MemoryWorkQueue(), MemoryBlobs(), clock),
        )
        self.services = services
        self.app = Border(Router(Stream(services, self.sockets, patience).routes()), services)

    def client(self, **headers: str) -> Client:
        self.clients.append(Client(self.app, **headers))
        return self.clients[-1]

    async def close(self) -> None:
        for client in self.clients:
            client.go()
            await client.task


@pytest.fixture
async def harbour() -> AsyncIterator[Harbour]:
    made = Harbour(MemoryDirectory())
    yield made
    await made.close()


async def kinds_until_last(client: Client) -> list[str]:
    found: list[str] = []
    while not found or found[-1] not in ("done", "cancelled", "error"):
        found.append((await client.hear())["type"])
    return found


async def test_a_key_that_does_not_come_in_time() -> None:
    harbour = Harbour(MemoryDirectory(), patience=0.01)
    client = harbour.client()
    assert (await client.hear())["error"]["message"] == "No key came within 0.01 seconds."
    assert await client.hear() == 4408
    await harbour.close()


async def test_a_client_that_goes_before_it_says_its_key(harbour: Harbour) -> None:
    client = harbour.client()
    client.go()
    await client.task


async def test_a_store_that_is_broken_closes_the_socket() -> None:
    harbour = Harbour(BrokenDirectory(), key=None)
    client = harbour.client()
    assert (await client.hear())["error"] == {"type": "api_error", "message": "The store cannot be read."}
    assert await client.hear() == 1011
    await harbour.close()


async def test_a_turn(harbour: Harbour) -> None:
    client = harbour.client(x_api_key=KEY)
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    assert await kinds_until_last(client) == ["start", "token", "done"]


async def test_a_turn_that_is_cancelled_at_once_ends_too(harbour: Harbour) -> None:
    client = harbour.client(x_api_key=KEY)
    client.say(type="chat", model=MODEL, prompt="Ahoy", id="one")
    client.say(type="cancel", id="one")
    assert await client.hear() == {"type": "cancelled", "id": "one", "usage": {}, "cost_usd": "0.000000"}
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    assert await kinds_until_last(client) == ["start", "token", "done"]


async def test_an_error_of_our_own_is_not_told_and_ends_the_turn_alone(
    harbour: Harbour, caplog: pytest.LogCaptureFixture
) -> None:
    client = harbour.client(x_api_key=KEY)
    harbour.house.runner.lines = [*SAID[:3], RuntimeError("the password is parrot")]
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    assert (await client.hear())["type"] == "start"
    assert (await client.hear())["type"] == "token"
    assert (await client.hear())["error"] == {"type": "api_error", "message": "Internal server error"}
    assert "unexpected error" in caplog.text
    harbour.house.runner.lines = SAID
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    assert await kinds_until_last(client) == ["start", "token", "done"]


async def test_a_server_that_stops_closes_what_is_open_and_what_comes(harbour: Harbour) -> None:
    waiting, idle, busy = (harbour.client(**headers) for headers in ({}, {"x_api_key": KEY}, {"x_api_key": KEY}))
    harbour.house.runner.lines = [*SAID[:3], None]
    busy.say(type="chat", model=MODEL, prompt="Ahoy")
    await harbour.house.runner.hanging.wait()
    harbour.sockets.leave(0.05)
    assert [await client.hear() for client in (waiting, idle)] == [1001, 1001]
    assert [(await busy.hear())["type"] for _ in range(2)] == ["start", "token"]
    assert "shutting down" in (await busy.hear())["error"]["message"]
    assert await busy.hear() == 1001
    assert await harbour.client(x_api_key=KEY).hear() == 1001


async def test_a_turn_that_begins_while_the_server_stops_is_refused(harbour: Harbour) -> None:
    client = harbour.client(x_api_key=KEY)
    client.say(type="ping")
    assert await client.hear() == {"type": "pong"}
    harbour.sockets.leaving = True
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    refused = await client.hear()
    assert (refused["error"]["type"], refused["retry_after"]) == ("overloaded_error", 1)


async def test_a_client_that_goes_stops_its_turn_which_is_paid_for(harbour: Harbour) -> None:
    client = harbour.client(x_api_key=KEY)
    harbour.house.runner.lines = [*SAID[:3], None]
    client.say(type="chat", model=MODEL, prompt="Ahoy")
    await harbour.house.runner.hanging.wait()
    client.go()
    await client.task
    assert harbour.house.journal[-3:] == ["left", "settled", "record"]
