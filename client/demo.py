"""Knows the tour that `pinnace demo` gives: a real server and the real CLI, with a scripted model; it must not know how they work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx
from genai_prices import Usage, calc_price
from rich.console import Console

from pinnace.client.processes import free_port, left_over
from pinnace.testing.upstream import Upstream

MODEL = "claude-sonnet-5-5"
PATIENCE = 60.0
CARGO = "7 barrels of tar\n2 coils of rope\n1 parrot\n"

GREETING = """What is a pinnace?
::pace 0.06
::text A pinnace is a ship's boat: small, quick, and launched when somebody needs it."""
INSPECTION = """What is on board? Look into cargo.txt.
::text I will look into the manifest.
::tool Bash {"command": "cat cargo.txt"}
::turn
::pace 0.03
::text Tar, rope and a parrot."""
FIRST = "My name is Ada. Remember it.\n::text I will, Ada."
SECOND = "What is my name?\n::pace 0.04\n::text Your name is Ada."


class DemoFailed(Exception):
    """Something was not as it should be; the message says what."""


@dataclass(slots=True)
class Tour:
    """The demo's state: where things are, and what was used."""

    console: Console
    server: str
    upstream: Upstream
    used: list[tuple[str, Any]] = field(default_factory=list)

    def client(self, prefix: str) -> anthropic.Anthropic:
        """The official client, unmodified."""
        return anthropic.Anthropic(base_url=self.server + prefix, api_key="demo", max_retries=0)

    def stream(self) -> None:
        """A streamed answer, shown as it comes."""
        self._title("A streamed answer", "the messages profile: your request, word for word")
        began, first = time.monotonic(), None
        call = self.client("/api").messages.stream(
            model=MODEL, max_tokens=200, messages=[{"role": "user", "content": GREETING}]
        )
        with call as stream:
            for text in stream.text_stream:
                first = first or time.monotonic() - began
                self.console.print(text, end="", style="cyan", soft_wrap=True)
            message = stream.get_final_message()
        self.console.print(f"\n[dim]first word after {1000 * (first or 0):.0f} ms[/]")
        self._note("streamed answer", message.usage, "".join(b.text for b in message.content if b.type == "text"))

    def agent(self) -> None:
        """One run of the agent, with a tool call on a real file."""
        self._title("The agent at work", "the agent profile: Claude Code's own Bash, on a real file")
        call = self.client("/sdk").beta.messages.stream(
            model=MODEL,
            max_tokens=500,
            messages=[{"role": "user", "content": INSPECTION}],
            extra_headers={"x-sdk-message-mode": "forward"},
        )
        output = ""
        with call as stream:
            for event in stream:
                if event.type == "text":
                    self.console.print(event.text, end="", style="cyan", soft_wrap=True)
                elif event.type == "content_block_stop":
                    block = event.content_block
                    if block.type == "mcp_tool_use":
                        self.console.print(f"\n[yellow]$ {block.input['command']}[/]")  # type: ignore[index]
                    elif block.type == "mcp_tool_result":
                        output = "".join(part.text for part in block.content if not isinstance(part, str))
                        self.console.print(f"[dim]{output.rstrip()}[/]")
            message = stream.get_final_message()
        self.console.print()
        if output.strip() != CARGO.strip():
            raise DemoFailed("the agent's tool did not read the file")
        self._note("agent run", message.usage, "".join(b.text for b in message.content if b.type == "text"))

    def conversation(self) -> None:
        """Two turns; the second one carries the history."""
        self._title("A conversation", "two turns; the history reaches the model as it was sent")
        client = self.client("/api")
        turns: list[anthropic.types.MessageParam] = [{"role": "user", "content": FIRST}]
        answer = client.messages.create(model=MODEL, max_tokens=100, messages=turns)
        self._say(turns[0]["content"], answer)
        turns += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": SECOND}]
        again = client.messages.create(model=MODEL, max_tokens=100, messages=turns)
        self._say(SECOND, again)
        received = self.upstream.bodies[-1]["messages"]
        if [message["role"] for message in received] != ["user", "assistant", "user"]:
            raise DemoFailed("the history did not reach the model")
        self.console.print(f"[dim]the model received {len(received)} messages, role by role[/]")
        self._note("first turn", answer.usage, "".join(b.text for b in answer.content if b.type == "text"))
        self._note("second turn", again.usage, "".join(b.text for b in again.content if b.type == "text"))

    def bill(self) -> None:
        """What all of it would have cost."""
        self._title("What it cost", "nothing: the model is scripted. At list prices it would have been:")
        total = 0.0
        for name, usage in self.used:
            counts = Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
            price = float(calc_price(counts, model_ref=MODEL, provider_id="anthropic").total_price)
            total += price
            tokens = f"{usage.input_tokens:>7} in {usage.output_tokens:>4} out"
            self.console.print(f"  {name:<16}{tokens}   ${price:.6f}", highlight=False)
        self.console.print(f"  [bold]{'total':<16}{'':<19}   ${total:.6f}[/]", highlight=False)

    def _say(self, prompt: Any, answer: anthropic.types.Message) -> None:
        text = "".join(block.text for block in answer.content if block.type == "text")
        self.console.print(f"> {str(prompt).splitlines()[0]}\n[cyan]{text}[/]")

    def _title(self, title: str, about: str) -> None:
        self.console.print(f"\n[bold]{title}[/]  [dim]{about}[/]", highlight=False)

    def _note(self, name: str, usage: Any, text: str) -> None:
        if not text:
            raise DemoFailed(f"the {name} was empty")
        self.used.append((name, usage))


def run() -> int:
    """Give the tour and return an exit status; leaves no process and no file."""
    console = Console(highlight=False)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="pinnace-demo-") as directory, Upstream() as upstream:
            with _served(Path(directory), upstream) as (server, health):
                cli = health["cli"]["version"]
                console.print(f"pinnace {health['version']} on {server}, with the real Claude Code CLI {cli}.")
                console.print("The model is played by the scripted endpoint that comes along; everything else is real.")
                tour = Tour(console, server, upstream)
                for part in (tour.stream, tour.agent, tour.conversation, tour.bill):
                    part()
            if left_over(directory):
                raise DemoFailed("a process was left behind")
    except KeyboardInterrupt:
        console.print("\nstopped")
        return 130
    except (DemoFailed, anthropic.APIError, httpx.HTTPError, OSError) as error:
        console.print(f"\n[red]The demo failed:[/] {error}")
        return 1
    console.print(f"\n[green]All of it worked[/], in {time.monotonic() - began:.1f} s; nothing is left running.")
    return 0


@contextmanager
def _served(directory: Path, upstream: Upstream) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run `pinnace serve` as its users do, in a process of its own."""
    workspace = directory / "workspace"
    workspace.mkdir()
    (workspace / "cargo.txt").write_text(CARGO)
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    environment = inherited | {
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-demo",
        "PINNACE_DATA_DIR": str(directory / "data"),
        "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash", "Read"]',
        "PINNACE_AGENT__WORKSPACE": str(workspace),
    }
    log = directory / "server.log"
    command = [sys.executable, "-m", "pinnace.client", "serve", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, cwd=directory, stdout=output, stderr=output)  # noqa: S603 - ourselves
    try:
        url = f"http://127.0.0.1:{port}"
        yield url, _wait_for(url, server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            answer = httpx.get(f"{url}/health", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.is_success:
            health: dict[str, Any] = answer.json()
            return health
        time.sleep(0.1)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise DemoFailed(f"the server did not start; its last words:\n{last}")
