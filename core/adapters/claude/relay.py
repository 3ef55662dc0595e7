"""Knows how calls to the model's API go from a child to the upstream and back, unchanged; it must not know frames or profiles.

Why there is one (`docs/decisions/0004-relay.md`): a child's tools can read its environment, so it holds a token that is
good for nothing but this relay; the CLI's account of a failure loses `retry-after` and rewrites the message; and the CLI
calls again by itself where a caller asked for one call. The relay listens on loopback alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
from collections.abc import Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pinnace.core.adapters.claude.channel import Channel
from pinnace.core.adapters.claude.metering import UsageReader, call_of
from pinnace.core.adapters.claude.options import Credential, CredentialKind
from pinnace.core.adapters.claude.refusals import failure, failure_within
from pinnace.core.errors import PinnaceError, UpstreamFailed

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("pinnace.relay")

Message = MutableMapping[str, Any]
#: What the CLI sends and the upstream must not get: hop-by-hop headers, and those that the relay decides.
DROPPED = frozenset(
    b"host connection content-length transfer-encoding x-api-key authorization accept-encoding "
    b"anthropic-dangerous-direct-browser-access".split()
)
#: The answer to a rehearsal: a process that has answered once answers its first caller four times sooner.
REHEARSED = b"".join(
    b"event: %s\ndata: %s\n\n" % (event.partition(b'"type":"')[2].partition(b'"')[0], event)
    for event in (
        (
            b'{"type":"message_start","message":{"id":"msg_rehearsal","type":"message","role":"assistant","model":"claude-rehearsal",'
            b'"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}'
        ),
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"."}}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":0}}',
        b'{"type":"message_stop"}',
    )
)
#: As much of a stream as an `error` event may reach back over pieces.
TAIL_BYTES = 2048
RETURNED = frozenset(["content-type", "request-id", "retry-after"])
#: How the CLI learns that a run is over; it tells it on as a failure of the upstream, which it is not.
NO_FURTHER_CALL = "this run makes no further call"
CLOSED = b'{"type":"error","error":{"type":"invalid_request_error","message":"%s"}}' % NO_FURTHER_CALL.encode()


class Relay:
    """The loopback server between children and the upstream; `start` and `aclose` are idempotent."""

    def __init__(self, credential: Credential, *, timeout: float = 600.0) -> None:
        self._credential = credential
        self._timeout = timeout
        self._channels: dict[str, Channel] = {}
        self._server: asyncio.Server | None = None
        self._client: httpx.AsyncClient | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where children reach it; valid after `start`."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        if self._server is not None:
            return
        import httpx  # noqa: PLC0415 - 340 ms of import that a control-plane function must not pay

        self._client = httpx.AsyncClient(
            base_url=self._credential.base_url,
            timeout=httpx.Timeout(self._timeout, connect=30.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
        )
        config.load()
        state = ServerState()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpToolsProtocol(config, state, {}), sock=listener)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def admit(self, token: str) -> Channel:
        """Let the holder of `token` in."""
        return self._channels.setdefault(token, Channel())

    def dismiss(self, token: str) -> None:
        self._channels.pop(token, None)

    def _channel(self, headers: dict[bytes, bytes]) -> Channel | None:
        given = headers.get(b"x-api-key", b"") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        found = None
        for token, channel in self._channels.items():
            if hmac.compare_digest(token.encode(), given):
                found = channel
        return found

    async def _answer(self, scope: Message, receive: Any, send: Any) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        channel = self._channel(headers)
        path: str = scope["path"]
        if channel is None:
            await _reply(
                send, 401, b'{"type":"error","error":{"type":"authentication_error","message":"unknown token"}}'
            )
        elif scope["method"] in ("HEAD", "GET"):
            await _reply(send, 200, b"")
        elif path not in ("/v1/messages", "/v1/messages/count_tokens"):
            await _reply(send, 404, b'{"type":"error","error":{"type":"not_found_error","message":"not relayed"}}')
        else:
            await self._relay(channel, scope, headers, receive, send)

    async def _relay(
        self, channel: Channel, scope: Message, headers: dict[bytes, bytes], receive: Any, send: Any
    ) -> None:
        body = await _body(receive)
        if channel.rehearsing:
            await _reply(send, 200, REHEARSED, [(b"content-type", b"text/event-stream")])
            return
        if channel.allowance is not None and channel.allowance <= 0:
            await _reply(send, 400, CLOSED)
            return
        if channel.allowance is not None:
            channel.allowance -= 1
        channel.calls += 1
        if not all(part in body for part in channel.absent):
            channel.failure = UpstreamFailed("The request did not reach the model's API as it was made.", status=None)
            await _reply(send, 400, CLOSED)
            return
        if channel.toll is None or scope["path"] != "/v1/messages":
            await self._until_gone(self._forward(channel, scope, headers, body, send), receive)
            return
        try:
            ticket = await channel.toll.enter(call_of(body))
        except PinnaceError as error:
            channel.failure = error
            await _reply(send, 400, CLOSED)
            return
        reader = UsageReader()
        try:
            await self._until_gone(self._forward(channel, scope, headers, body, send, reader), receive)
        finally:
            await asyncio.shield(channel.toll.leave(ticket, reader.usage))

    @staticmethod
    async def _until_gone(work: Coroutine[Any, Any, None], receive: Any) -> None:
        """Pass a call on until it has ended, or the child has hung up."""
        call = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call

    async def _forward(
        self,
        channel: Channel,
        scope: Message,
        headers: dict[bytes, bytes],
        body: bytes,
        send: Any,
        reader: UsageReader | None = None,
    ) -> None:
        import httpx  # noqa: PLC0415 - as in `start`

        assert self._client is not None  # noqa: S101 - the server runs only between start and aclose
        query = scope["query_string"].decode()
        target = scope["path"] + (f"?{query}" if query else "")
        begun = False
        try:
            async with self._client.stream(
                "POST", target, headers=self._headers(channel, headers), content=_without(body, channel.absent)
            ) as answer:
                if answer.is_error:
                    content = await answer.aread()
                    channel.failure = failure(answer.status_code, dict(answer.headers), content)
                    await _reply(send, answer.status_code, content, _returned(answer))
                    return
                await send({"type": "http.response.start", "status": answer.status_code, "headers": _returned(answer)})
                begun = True
                tail = b""
                async for chunk in answer.aiter_raw():
                    if reader is not None:
                        reader.feed(chunk)
                    tail = tail[-TAIL_BYTES:] + chunk
                    if b"event: error" in tail:
                        channel.failure = failure_within(tail) or channel.failure
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx.HTTPError as error:
            channel.failure = UpstreamFailed(_broken(error, begun), status=None)
            log.warning("upstream call broke", extra={"error": type(error).__name__, "begun": begun})
            await _break_off(send, begun)

    def _headers(self, channel: Channel, headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
        passed = {name: value for name, value in headers.items() if name not in DROPPED}
        passed[b"accept-encoding"] = b"identity"
        secret = self._credential.secret.encode()
        if self._credential.kind is not CredentialKind.API_KEY:
            passed[b"authorization"] = b"Bearer " + secret
        else:
            passed[b"x-api-key"] = secret
        betas = passed.pop(b"anthropic-beta", b"").decode() if channel.betas is None else channel.betas
        betas = ",".join(part for part in (betas, channel.more_betas) if part)
        if betas:
            passed[b"anthropic-beta"] = betas.encode()
        else:
            passed.pop(b"anthropic-beta", None)
        if channel.version is not None:
            passed[b"anthropic-version"] = channel.version.encode()
        return passed


def _without(body: bytes, absent: tuple[bytes, ...]) -> bytes:
    for part in absent:
        body = body.replace(part + b",", b"", 1) if part + b"," in body else body.replace(b"," + part, b"", 1)
    return body


def _broken(error: httpx.HTTPError, begun: bool) -> str:
    import httpx  # noqa: PLC0415 - as in `start`

    if isinstance(error, httpx.TimeoutException):
        return "The model's API did not answer in time."
    return "The connection to the model's API broke " + (
        "in the middle of the answer." if begun else "before it answered."
    )


def _returned(answer: httpx.Response) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in answer.headers.items() if name in RETURNED]


async def _break_off(send: Any, begun: bool) -> None:
    """End a broken call so that the CLI sees a failure, and no connection of its own is left half open."""
    error = b'{"type":"error","error":{"type":"api_error","message":"connection broken"}}'
    if begun:
        await send(
            {"type": "http.response.body", "body": b"event: error\ndata: " + error + b"\n\n", "more_body": False}
        )
    else:
        await _reply(send, 502, error)


async def _body(receive: Any) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _reply(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    given = headers or [(b"content-type", b"application/json")]
    given = [*given, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body, "more_body": False})
