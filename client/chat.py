"""Knows `pinnace chat`: lines in, an answer as it comes, a session that goes on later; it must not know how a server works.

Ctrl-C stops an answer; Ctrl-D, or a line with nothing but `/exit`, ends the conversation. The session stays.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pinnace.client.administration import URL

PREFIXES = {"agent": "/sdk", "messages": "/api"}
#: Seconds without a byte; a server sends a ping long before.
SILENCE = 120.0
#: Messages of an earlier conversation that are shown again.
SHOWN = 10


@click.command()
@click.option("--session", help="The session to go on with; without it a new one begins.")
@click.option("--model", default="sonnet", show_default=True, help="The model, or 'auto'.")
@click.option("--profile", type=click.Choice(sorted(PREFIXES)), default="agent", show_default=True)
@click.option("--system", help="The system prompt.")
@click.option("--max-tokens", type=click.IntRange(1), default=8192, show_default=True, help="Of one answer.")
@click.option("--history", type=click.IntRange(0), default=SHOWN, show_default=True, help="Earlier messages to show.")
@click.option("--url", help="The server; by default PINNACE_URL, or this machine's.")
def chat(session: str | None, profile: str, history: int, url: str | None, **body: Any) -> None:
    """Talk with the agent; the session can be gone on with later."""
    import httpx

    name = session or f"chat-{secrets.token_hex(4)}"
    key = os.environ.get("PINNACE_API_KEY") or os.environ.get("PINNACE_ADMIN_KEY")
    # An answer that was stopped holds the session for a moment longer.
    headers = {"x-session-id": name, "x-session-wait": "10"} | ({"x-api-key": key} if key else {})
    base = (url or os.environ.get("PINNACE_URL") or URL).rstrip("/")
    fields = {field: value for field, value in body.items() if value is not None}
    with httpx.Client(base_url=base, headers=headers, timeout=httpx.Timeout(SILENCE, connect=10.0)) as http:
        try:
            if session is not None:
                _show_earlier(http, name, history)
            else:
                click.echo(f"session {name}; go on later with: pinnace chat --session {name}", err=True)
            for line in _lines():
                _turn(http, f"{PREFIXES[profile]}/v1/messages", fields, line)
        except httpx.HTTPError as error:
            raise click.ClickException(f"{base} cannot be reached: {type(error).__name__}.") from error


def _lines() -> Iterator[str]:
    """What the user says, without lines that say nothing."""
    asking = sys.stdin.isatty()
    if asking:
        # Editing and recalling of lines, where it is there.
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")
    while True:
        try:
            line = input("> " if asking else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            click.echo()
            return
        if line.strip() == "/exit":
            return
        if line.strip():
            yield line


def _turn(http: Any, path: str, fields: Mapping[str, Any], line: str) -> None:
    """Ask, and print the answer as it comes."""
    body = {**fields, "stream": True, "messages": [{"role": "user", "content": line}]}
    # Shown beside the answer: the tools that the agent ran.
    headers = {"x-sdk-message-mode": "forward"}
    try:
        with http.stream("POST", path, json=body, headers=headers) as answer:
            if not answer.is_success:
                _complain(answer.read())
                return
            for event in _events(answer.iter_lines()):
                _print(event)
    except KeyboardInterrupt:
        click.echo("\n(stopped)", err=True)
    else:
        click.echo()


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line[len("data: ") :])


def _print(event: Mapping[str, Any]) -> None:
    kind = event["type"]
    if kind == "content_block_delta" and event["delta"]["type"] == "text_delta":
        click.echo(event["delta"]["text"], nl=False)
    elif kind == "content_block_start" and event["content_block"]["type"] in ("tool_use", "mcp_tool_use"):
        click.secho(f"[{event['content_block']['name']}]", err=True, dim=True)
    elif kind == "error":
        click.echo()
        click.echo(f"Error: {event['error']['message']}", err=True)


def _show_earlier(http: Any, name: str, most: int) -> None:
    """Print what was said before."""
    answer = http.get(f"/v1/sessions/{name}/history", params={"limit": 1000})
    if not answer.is_success:
        return
    for message in answer.json()["data"][-most:] if most else ():
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        if text:
            click.secho(f"{'> ' if message['role'] == 'user' else ''}{text}", dim=True)


def _complain(content: bytes) -> None:
    try:
        message = json.loads(content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = "the server's answer cannot be understood"
    click.echo(f"Error: {message}", err=True)
