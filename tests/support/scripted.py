"""Knows how a test sends a script to the scripted upstream, and reads what it answers."""

from __future__ import annotations

import json
from typing import Any

import httpx

from pinnace.testing.upstream import Upstream

Json = dict[str, Any]


def body(*lines: str, stream: bool = False) -> Json:
    content = "\n".join(lines)
    return {"model": "claude-x", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": content}]}


def ask(upstream: Upstream, *lines: str) -> httpx.Response:
    return httpx.post(f"{upstream.url}/v1/messages", json=body(*lines))


def content(upstream: Upstream, *lines: str) -> list[Json]:
    answer = ask(upstream, *lines)
    assert answer.status_code == 200
    blocks: list[Json] = answer.json()["content"]
    return blocks


def streamed(upstream: Upstream, *lines: str) -> str:
    answer = httpx.post(f"{upstream.url}/v1/messages", json=body(*lines, stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text


def events(upstream: Upstream, *lines: str) -> list[Json]:
    found = []
    for event in streamed(upstream, *lines).split("\n\n")[:-1]:
        kind, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {found[-1]['type']}"
    return found


def deltas(upstream: Upstream, *lines: str) -> list[Json]:
    return [event["delta"] for event in events(upstream, *lines) if event["type"] == "content_block_delta"]
