"""Knows how a test talks to `/v1/stream`: frames out, frames in, a turn as the list of what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from served import BOUND, MODEL, Served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]
LAST = {"done", "cancelled", "error"}


@dataclass(frozen=True)
class Talk:
    """One socket."""

    socket: ClientConnection

    def say(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind} | fields))

    def hear(self) -> Frame:
        frame: Frame = json.loads(self.socket.recv(timeout=BOUND))
        return frame

    def ask(self, prompt: str | None = None, **fields: Any) -> None:
        """Begin a turn."""
        given = {"model": MODEL} | ({} if prompt is None else {"prompt": prompt}) | fields
        self.say("chat", **given)

    def rest(self) -> list[Frame]:
        """What is said until a turn has ended."""
        frames = [self.hear()]
        while frames[-1]["type"] not in LAST:
            frames.append(self.hear())
        return frames

    def turn(self, prompt: str | None = None, **fields: Any) -> list[Frame]:
        self.ask(prompt, **fields)
        return self.rest()

    def closed(self) -> int:
        """The code that the server closed it with; nothing more is said before."""
        with pytest.raises(ConnectionClosed) as raised:
            self.socket.recv(timeout=BOUND)
        assert raised.value.rcvd is not None
        return raised.value.rcvd.code


def said(frames: list[Frame]) -> str:
    return "".join(frame["text"] for frame in frames if frame["type"] == "token")


def address(served: Served, prefix: str = "/api") -> str:
    return f"{served.url.replace('http', 'ws', 1)}{prefix}/v1/stream"


@contextmanager
def talking(served: Served, prefix: str = "/api", secret: str | None = None, **headers: str) -> Iterator[Talk]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if secret is not None:
        given["x-api-key"] = secret
    with connect(address(served, prefix), additional_headers=given, proxy=None, close_timeout=2) as socket:
        yield Talk(socket)
