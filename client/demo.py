"""Knows the tour that `pinnace demo` gives: a real server and CLI with a scripted model; it must not know how they work.

Each prompt is a question and, below it, the lines that tell the scripted endpoint what to answer (`pinnace.testing.script`).
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anthropic
from anthropic.types import MessageParam
from rich.console import Console
from rich.text import Text

from pinnace.client.bill import Item, item, table, total
from pinnace.client.server_process import ServerFailed, ServerProcess
from pinnace.testing.upstream import Upstream

#: An alias, so that the demo does not outlive a model.
MODEL = "sonnet"
MANIFEST = """\
12 barrels of salt beef
30 casks of water
4 chests of tea
"""
QUESTION = "What is a pinnace?"
DEFINITION = "A pinnace is a light boat that a ship carries on board and launches when there is something to fetch."
COMMAND = "cat cargo.txt"
FINDING = "The manifest lists 30 casks of water."
REMEMBERED = "You named 12 barrels."


class DemoFailed(Exception):
    """Something was not as expected; the message says what."""


def show(*, keep: bool = False, console: Console | None = None) -> None:
    """Give the tour, and leave nothing behind.

    Args:
        keep: Leave the server running after the tour, until Ctrl-C.
        console: Where to print; by default standard output.

    Raises:
        DemoFailed: something was not as expected.
    """
    out = console or Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="pinnace-demo-") as name, Upstream() as upstream:
        directory = Path(name)
        server = ServerProcess(directory, _environment(directory, upstream))
        out.print("Starting a server ...", style="dim")
        try:
            with server:
                _introduce(out, server, upstream)
                with _complaints(server):
                    Tour(out, server, upstream).give()
                if keep:
                    _wait(out, server)
        except ServerFailed as error:
            raise DemoFailed(str(error)) from error
    out.print("\nThe server stopped on SIGTERM, and no process of it is left.", style="green")


@dataclass(slots=True)
class Tour:
    """The stops of the tour and the answers that they got."""

    out: Console
    server: ServerProcess
    upstream: Upstream
    answers: list[Item] = field(default_factory=list)

    def give(self) -> None:
        """Visit every stop, then count up."""
        # The environment's proxies lead away from this machine; the package reads them whatever `trust_env` says.
        with anthropic.DefaultHttpxClient(trust_env=False, mounts={"all://127.0.0.1": None}) as http:
            plain = anthropic.Anthropic(
                api_key="demo", base_url=f"{self.server.url}/api", http_client=http, max_retries=0
            )
            agent = plain.with_options(base_url=f"{self.server.url}/sdk")
            self.stream_a_message(plain)
            self.run_the_agent(agent)
            self.hold_a_conversation(plain)
        self.count_up()

    def stream_a_message(self, client: anthropic.Anthropic) -> None:
        """Show that a message streams."""
        self._heading("A message, as it streams", "/api")
        prompt = self._ask(QUESTION, "::pace 0.03", f"::text {DEFINITION}")
        pieces = 0
        with client.messages.stream(
            model=MODEL, max_tokens=300, messages=[{"role": "user", "content": prompt}]
        ) as stream:
            for text in stream.text_stream:
                pieces += 1
                self._say(text)
            message = stream.get_final_message()
        self._end_of_line()
        _expect(_text(message) == DEFINITION, "the message", DEFINITION, _text(message))
        _expect(pieces > 1, "the stream", "many pieces", f"{pieces}")
        self.answers.append(item("the message", message.model, message.usage))
        self._note(f"It came in {pieces} pieces.")

    def run_the_agent(self, client: anthropic.Anthropic) -> None:
        """Show that the agent runs a tool on a real file, and its steps."""
        self._heading("An agent at work, with its steps", "/sdk")
        call = json.dumps({"command": COMMAND, "description": "Read the manifest"})
        prompt = self._ask(
            "How many casks of water does cargo.txt list?",
            "::text I will look at the manifest.",
            f"::tool Bash {call}",
            "::turn",
            "::pace 0.03",
            f"::text {FINDING}",
        )
        shown = ""
        with client.beta.messages.stream(
            model=MODEL,
            max_tokens=300,
            messages=[{"role": "user", "content": prompt}],
            extra_headers={"x-sdk-message-mode": "forward"},
        ) as stream:
            for event in stream:
                if event.type == "text":
                    self._say(event.text)
                elif event.type == "content_block_stop":
                    block = event.content_block
                    if block.type == "text":
                        self._end_of_line()
                    elif block.type == "mcp_tool_use":
                        self._step(f"{block.type} {block.name}", f"$ {block.input.get('command', '')}")
                    elif block.type == "mcp_tool_result":
                        parts = block.content
                        shown = parts if isinstance(parts, str) else "".join(part.text for part in parts)
                        self._step(block.type, shown)
                        self._speaker("claude", "magenta")
            message = stream.get_final_message()
        last = message.content[-1] if message.content else None
        said = last.text if last is not None and last.type == "text" else ""
        _expect(shown.strip() == MANIFEST.strip(), "what the tool read", MANIFEST.strip(), shown)
        _expect(said == FINDING, "the agent's answer", FINDING, said)
        self.answers.append(item("the agent's run", message.model, message.usage))
        self._note("Claude Code ran the command itself, in a copy of the workspace.")

    def hold_a_conversation(self, client: anthropic.Anthropic) -> None:
        """Show that the model gets the history."""
        self._heading("A conversation of two turns", "/api")
        history: list[MessageParam] = []
        turns = (("I have 12 barrels to carry.", "Noted: 12 barrels."), ("How many barrels did I name?", REMEMBERED))
        for number, (question, reply) in enumerate(turns, 1):
            history.append({"role": "user", "content": self._ask(question, f"::text {reply}")})
            message = client.messages.create(model=MODEL, max_tokens=300, messages=history)
            self._say(_text(message))
            self._end_of_line()
            _expect(_text(message) == reply, f"turn {number}", reply, _text(message))
            history.append({"role": "assistant", "content": _text(message)})
            self.answers.append(item(f"turn {number}", message.model, message.usage))
        got = [sent["role"] for sent in self.upstream.bodies[-1]["messages"]]
        _expect(got == ["user", "assistant", "user"], "what the model received", "three messages", ", ".join(got))
        self._note(f"With the second turn the model received {len(got)} messages: {', '.join(got)}.")

    def count_up(self) -> None:
        """Show what was used, and what it would have cost."""
        self._heading("What it would have cost", "usage")
        self.out.print(table(self.answers))
        spent = total(self.answers)
        self.out.print(f"\nIn all it would have cost ${spent:.6f} at the published prices.", style="bold")
        self._note("Nothing was spent: the tokens are the scripted model's estimates.")

    def _heading(self, title: str, place: str) -> None:
        self.out.print()
        self.out.rule(Text.assemble((title, "bold"), (f"  {place}", "dim")), align="left")

    def _ask(self, question: str, *script: str) -> str:
        self._speaker("you", "cyan")
        self.out.print(Text(question))
        self._speaker("claude", "magenta")
        return "\n".join([question, "", *script])

    def _speaker(self, name: str, colour: str) -> None:
        self.out.print(Text(f"{name:<8}", colour), end="")

    def _say(self, text: str) -> None:
        # Word by word: what rich would wrap are lines of their own.
        self.out.print(Text(text), end="", soft_wrap=True)

    def _end_of_line(self) -> None:
        self.out.print()

    def _step(self, name: str, text: str) -> None:
        self.out.print(Text(f"        {name}", "yellow"))
        for line in text.splitlines():
            self.out.print(Text(f"          {line}", "dim"), soft_wrap=True)

    def _note(self, sentence: str) -> None:
        self.out.print(Text(sentence, "dim"))


def _environment(directory: Path, upstream: Upstream) -> dict[str, str]:
    workspace = directory / "workspace"
    workspace.mkdir()
    (workspace / "cargo.txt").write_text(MANIFEST, encoding="utf-8")
    return {
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-demo",
        "PINNACE_DATA_DIR": str(directory / "data"),
        "PINNACE_AGENT__ALLOWED_TOOLS": '["Bash","Read"]',
        "PINNACE_AGENT__WORKSPACE": str(workspace),
        "PINNACE_DRAIN_SECONDS": "5",
        "PINNACE_LOG_FORMAT": "text",
    }


def _introduce(out: Console, server: ServerProcess, upstream: Upstream) -> None:
    _expect(bool(server.cli_version), "the CLI's version", "a version", "none")
    out.print(f"The server is at {server.url}, the Claude Code CLI is version {server.cli_version}.")
    out.print(f"The model is scripted ({upstream.url}): each prompt also tells it what to answer.", style="yellow")
    out.print("Everything else is real: the CLI, its tools, the server, the anthropic client.", style="yellow")


@contextmanager
def _complaints(server: ServerProcess) -> Iterator[None]:
    try:
        yield
    except anthropic.AnthropicError as error:
        raise DemoFailed(server.with_log(f"The server did not answer as it should: {error}")) from error


def _wait(out: Console, server: ServerProcess) -> None:
    body = json.dumps({"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]})
    command = f"curl {server.url}/api/v1/messages -H 'content-type: application/json' -d '{body}'"
    try:
        out.print("\nThe server stays until Ctrl-C. From another shell:", style="bold")
        out.print(Text(command), soft_wrap=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        out.print()


def _text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def _expect(good: bool, what: str, wanted: str, got: str) -> None:
    if not good:
        raise DemoFailed(f"The demo failed at {what}: expected {wanted!r}, got {got!r}.")
