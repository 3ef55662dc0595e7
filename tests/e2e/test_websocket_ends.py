"""Knows who may open a socket, and how one ends: refused, revoked, flooded, abandoned, not read, shut down."""

from __future__ import annotations

import json
import signal
import socket
import struct
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from served import Served, serving
from talks import Talk, address, said, talking
from tenants import Tenancy
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pinnace.testing.upstream import Upstream

PAGE = "https://app.example"
#: Seconds between two of the server's pings, and until one counts as not answered.
PING = 3


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {
        "PINNACE_CORS_ORIGINS": f'["{PAGE}"]',
        "PINNACE_MAX_BODY_BYTES": "100000",
        "PINNACE_PING_SECONDS": f"{PING}",
        "PINNACE_AGENT__SPARES": "0",
    }


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_comes_with_the_handshake(managed: Tenancy, key: str, header: str) -> None:
    given = {header: key if header == "x-api-key" else f"Bearer {key}"}
    with talking(managed.served, **given) as talk:
        assert said(talk.turn("::text aye")) == "aye"


def test_a_key_comes_in_the_first_frame_where_no_header_can_be_sent(managed: Tenancy, key: str) -> None:
    with talking(managed.served) as talk:
        talk.say("auth", key=key)
        assert said(talk.turn("::text aye")) == "aye"
        talk.say("auth", key=key)
        assert talk.hear()["error"]["type"] == "invalid_request_error"
        assert said(talk.turn("::text aye")) == "aye"


def test_a_server_without_keys_asks_for_none_and_takes_any(served: Served) -> None:
    for first in ({}, {"key": "any"}):
        with talking(served) as talk:
            if first:
                talk.say("auth", **first)
            assert said(talk.turn("::text aye")) == "aye"


@pytest.mark.parametrize("first", [None, {"type": "auth", "key": "pn_live_wrong"}, {"type": "ping"}, {"type": "auth"}])
def test_a_wrong_key_or_none_closes_the_socket(managed: Tenancy, first: dict[str, str] | None) -> None:
    secret = "pn_live_wrong" if first is None else None
    with talking(managed.served, secret=secret) as talk:
        if first is not None:
            talk.socket.send(json.dumps(first))
        assert talk.hear()["error"]["type"] == "authentication_error"
        assert talk.closed() == 4401


def test_a_key_that_is_revoked_ends_with_the_next_turn(managed: Tenancy) -> None:
    made = managed.key(managed.project())
    with talking(managed.served, secret=made["key"]) as talk:
        assert said(talk.turn("::text aye")) == "aye"
        assert managed.admin("DELETE", f"keys/{made['id']}").is_success
        assert talk.turn("::text no")[-1]["error"]["type"] == "authentication_error"
        assert talk.closed() == 4401


def test_a_key_without_the_scope_is_refused_turn_by_turn(managed: Tenancy) -> None:
    secret = managed.key(managed.project(), scopes=["usage"])["key"]
    with talking(managed.served, secret=secret) as talk:
        for _ in range(2):
            assert talk.turn("::text no")[-1]["error"]["type"] == "permission_error"


@pytest.mark.parametrize("origin", [PAGE, "own", None])
def test_pages_of_listed_origins_and_of_the_server_s_own_may_connect(
    managed: Tenancy, key: str, origin: str | None
) -> None:
    own = managed.served.url if origin == "own" else origin
    with talking(managed.served, secret=key, **({} if own is None else {"origin": own})) as talk:
        assert said(talk.turn("::text aye")) == "aye"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "http://["])
def test_a_page_of_another_origin_is_refused(managed: Tenancy, key: str, origin: str) -> None:
    with talking(managed.served, secret=key, origin=origin) as talk:
        assert talk.hear()["error"]["type"] == "permission_error"
        assert talk.closed() == 4403


def test_a_socket_on_another_path_is_refused(managed: Tenancy, key: str) -> None:
    wrong = address(managed.served).replace("stream", "nothing")
    with pytest.raises(InvalidStatus, match="403"), connect(wrong, additional_headers={"x-api-key": key}, proxy=None):
        pass


def test_a_message_that_is_too_big_closes_the_socket(managed: Tenancy, key: str) -> None:
    with talking(managed.served, secret=key) as talk:
        with pytest.raises(ConnectionClosed) as raised:
            talk.turn("x" * 100_001)
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1009


def test_a_flood_of_bad_frames_closes_the_socket(managed: Tenancy, key: str) -> None:
    with talking(managed.served, secret=key) as talk:
        for _ in range(19):
            talk.socket.send("?")
        talk.say("ping")
        assert [talk.hear()["type"] for _ in range(20)] == ["error"] * 19 + ["pong"]
        for _ in range(20):
            talk.socket.send("?")
        assert [talk.hear()["type"] for _ in range(20)] == ["error"] * 20
        assert talk.closed() == 4400


def reserved(managed: Tenancy, project_id: str) -> Decimal:
    return managed.spending(project_id)["reserved_usd"]


@pytest.mark.parametrize("way", ["reset", "closed"])
def test_a_client_that_leaves_stops_its_run(managed: Tenancy, way: str) -> None:
    project_id, secret = managed.secret(total_usd=5)
    with talking(managed.served, secret=secret) as talk:
        talk.ask('::usage {"input_tokens": 11}\n::text early\n::hang')
        while talk.hear()["type"] != "token":
            pass
        assert managed.served.stats()["busy"] == 1
        if way == "reset":
            talk.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            talk.socket.socket.shutdown(socket.SHUT_RD)
            talk.socket.socket.close()
        else:
            talk.socket.close()
        managed.served.wait_until(lambda: reserved(managed, project_id) == 0)
        assert managed.spending(project_id)["spent_usd"] > 0
        managed.served.wait_until(lambda: managed.served.stats()["busy"] == 0)


def resident(served: Served) -> int:
    """Bytes of the server's memory."""
    status = Path(f"/proc/{served.child.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def shaken(served: Served, secret: str, prompt: str) -> socket.socket:
    """A client that asks for something and then neither reads nor answers a ping."""
    raw = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(
        f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-api-key: {secret}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += raw.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    frame = json.dumps({"type": "chat", "model": "claude-sonnet-5-5", "prompt": prompt}).encode()
    # Masked with zeros, which is a mask.
    raw.sendall(b"\x81\xfe" + struct.pack(">H", len(frame)) + bytes(4) + frame)
    return raw


def test_a_client_that_reads_nothing_fills_no_memory_and_is_dropped(managed: Tenancy) -> None:
    served = managed.served
    (flooded, its_key), (silent, silent_key) = (managed.secret(total_usd=50) for _ in range(2))
    with talking(served, secret=its_key) as talk:
        talk.turn("::text warm")
    before = most = resident(served)
    flood = f"::deltas 300000 {'word ' * 20}"
    with shaken(served, its_key, flood), shaken(served, silent_key, "::text early\n::hang"):
        served.wait_until(lambda: reserved(managed, flooded) > 0 < reserved(managed, silent))
        while reserved(managed, flooded) + reserved(managed, silent) > 0:
            most = max(most, resident(served))
            time.sleep(0.05)
        # It is about 13 MB, and 250 MB where frames wait in a queue.
        assert most - before < 60 * 2**20
        served.wait_until(lambda: served.stats()["busy"] == 0)


def test_a_server_that_stops_lets_a_turn_end_and_says_goodbye(own_directory: Path, upstream: Upstream) -> None:
    closed: list[int] = []

    def stay(talk: Talk) -> None:
        closed.append(talk.closed())

    with serving(own_directory, upstream, PINNACE_AGENT__SPARES="0") as own:
        with talking(own) as idle, talking(own) as busy:
            # Its client never says goodbye.
            silent = shaken(own, "any", "::text aye")
            busy.ask("::text early\n::delay 1.5\n::text late")
            while busy.hear()["type"] != "token":
                pass
            waiting = threading.Thread(target=stay, args=[idle])
            waiting.start()
            began = time.monotonic()
            own.child.send_signal(signal.SIGTERM)
            waiting.join(5)
            assert closed == [1001]
            frames = busy.rest()
            assert (frames[-1]["type"], said(frames)) == ("done", "late")
            assert busy.closed() == 1001
            assert own.child.wait(10) == 0
            silent.close()
        assert time.monotonic() - began < 9


def test_a_turn_that_outlasts_the_end_is_told_so(own_directory: Path, upstream: Upstream) -> None:
    variables = {"PINNACE_AGENT__SPARES": "0", "PINNACE_DRAIN_SECONDS": "0.5"}
    with serving(own_directory, upstream, **variables) as own, talking(own) as talk:
        talk.ask("::text early\n::hang")
        while talk.hear()["type"] != "token":
            pass
        own.child.send_signal(signal.SIGTERM)
        last = talk.rest()[-1]
        assert (last["error"]["type"], "shutting down" in last["error"]["message"]) == ("api_error", True)
        assert talk.closed() == 1001
