"""Knows how to run each candidate against one scripted endpoint: pinnace, LiteLLM, and the SDK; it must not know the load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load import MODEL, SCRIPT, Call

ENDPOINT = """
import sys, time
from pinnace.testing.upstream import Upstream
with Upstream(port=int(sys.argv[1])) as upstream:
    while True:
        time.sleep(0.5)
        upstream.forget()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(upstream: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "ANTHROPIC_BASE_URL": upstream,
        "ANTHROPIC_API_KEY": "sk-any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


@contextmanager
def running(
    command: list[str], url: str, env: dict[str, str], directory: Path, patience: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it is up once it answers anything."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "log").open("wb") as log:
        child = subprocess.Popen(command, env=env, cwd=directory, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + patience
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield child
    finally:
        child.terminate()
        child.wait(30)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - a loopback address of ours
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def endpoint(directory: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([sys.executable, "-c", ENDPOINT, str(port)], url, dict(os.environ), directory, 20):
        yield url


@contextmanager
def pinnace(
    upstream: str, directory: Path, *, prefix: str = "/api", spares: int = 0, **variables: str
) -> Iterator[tuple[str, int]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(upstream) | {
        "PINNACE_DATA_DIR": str(directory / "data"),
        "PINNACE_LOG_LEVEL": "warning",
        "PINNACE_AGENT__SPARES": str(spares),
        **variables,
    }
    command = [sys.executable, "-m", "pinnace.client", "serve", "--port", str(port)]
    with running(command, f"{url}/health", env, directory, 60) as child:
        yield f"{url}{prefix}", child.pid


@contextmanager
def litellm(upstream: str, directory: Path, python: Path) -> Iterator[str]:
    port = free_port()
    config = directory / "config.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    parameters = f"{{model: anthropic/{MODEL}, api_base: {upstream}, api_key: sk-any}}"
    config.write_text(f"model_list:\n  - model_name: {MODEL}\n    litellm_params: {parameters}\n")
    command = [str(python.with_name("litellm")), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    env = environment(upstream) | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health/liveliness", env, directory, 120):
        yield url


def install_litellm(directory: Path) -> Path | None:
    """Install LiteLLM beside the project; None where it cannot be had."""
    python = directory / "bin" / "python"
    if not (directory / "bin" / "litellm").exists():
        uv = Path(sys.executable).with_name("uv")
        try:
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, directory], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "litellm[proxy]"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"LiteLLM is left out: {error}")
            return None
    return python


def sdk_query(upstream: str) -> Call:
    """`claude_agent_sdk.query()` for each request, as most servers do it."""
    from claude_agent_sdk import ClaudeAgentOptions, StreamEvent, query  # noqa: PLC0415 - more than a second of import

    options = ClaudeAgentOptions(
        model=MODEL, tools=[], include_partial_messages=True, max_turns=1, env=environment(upstream), setting_sources=[]
    )

    async def call() -> tuple[float, float]:
        began, first = time.perf_counter(), 0.0
        message: Any
        async for message in query(prompt=SCRIPT, options=options):
            if not first and isinstance(message, StreamEvent) and message.event.get("type") == "content_block_delta":
                first = time.perf_counter() - began
        return first, time.perf_counter() - began

    return call
