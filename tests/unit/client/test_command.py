from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

import pinnace
from pinnace.client.command import extra, main

COMMAND = [sys.executable, "-m", "pinnace.client"]
MESSAGE = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi\n::text Ahoy"}]}


@contextmanager
def upstream(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `pinnace upstream` in a process of its own, and its URL."""
    with subprocess.Popen(
        [*COMMAND, "upstream", "--port", "0", *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            said = re.fullmatch(r"scripted endpoint on (http://127\.0\.0\.1:\d+)\n", line)
            assert said is not None, line
            yield process, said.group(1)
        finally:
            process.kill()


def loaded_by(statement: str) -> list[str]:
    """The modules that are there after `statement`."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert re.findall(r"^  ([a-z]+)  ", result.output.partition("Commands:")[2], re.MULTILINE) == [
        "batch",
        "chat",
        "demo",
        "doctor",
        "files",
        "init",
        "keys",
        "logs",
        "projects",
        "serve",
        "upstream",
        "usage",
    ]


@pytest.mark.parametrize("name", ["demo", "doctor", "serve", "upstream"])
def test_each_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.output


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"], prog_name="pinnace")
    assert (result.exit_code, result.output) == (0, f"pinnace {pinnace.__version__}\n")


def test_the_command_loads_nothing_that_it_may_not_need() -> None:
    loaded = loaded_by("import pinnace.client.command")
    assert "pinnace.client.command" in loaded
    assert {"anthropic", "httpx", "pydantic", "rich", "starlette", "uvicorn"}.isdisjoint(loaded)


def test_a_missing_part_is_named_with_what_brings_it() -> None:
    with pytest.raises(click.ClickException) as caught, extra("server"):
        import no_such_part.at_all  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - it cannot be found # pyright: ignore[reportMissingImports]
    assert caught.value.message == "no_such_part is not installed; pip install 'pinnace[server]' brings it."


def test_a_missing_file_of_pinnace_is_no_missing_part() -> None:
    with pytest.raises(ModuleNotFoundError), extra("server"):
        import pinnace.no_such_file  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - it cannot be found # pyright: ignore[reportMissingImports]


def test_a_command_whose_part_is_missing_says_so_in_one_sentence() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from pinnace.client.command import main; main(['upstream'])"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: uvicorn is not installed; pip install 'pinnace[server]' brings it.\n"


def test_upstream_answers_records_and_stops_on_sigterm(tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    with upstream("--record", str(record)) as (process, url):
        for _ in range(2):
            answer = httpx.post(f"{url}/v1/messages", json=MESSAGE, headers={"x-mine": "1"}, trust_env=False)
            assert answer.json()["content"] == [{"type": "text", "text": "Ahoy"}]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert [(line["method"], line["path"], line["body"], line["headers"]["x-mine"]) for line in lines] == [
        ("POST", "/v1/messages", MESSAGE, "1")
    ] * 2


def test_upstream_stops_on_ctrl_c() -> None:
    with upstream() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_upstream_names_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "upstream", "--port", port], check=False, capture_output=True, text=True, timeout=30
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: Port {port} is in use; choose another one with --port.\n"


def test_upstream_refuses_a_record_that_it_cannot_write(tmp_path: Path) -> None:
    record = tmp_path / "missing" / "requests.jsonl"
    done = subprocess.run(
        [*COMMAND, "upstream", "--record", str(record)], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == f"Error: {record} cannot be written to: No such file or directory.\n"


def serve(directory: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a `pinnace serve` that is not to come up."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PINNACE_")} | environment
    command: Sequence[str] = [*COMMAND, "serve", *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=directory, env=given)


@pytest.mark.parametrize(
    ("text", "key"),
    [("port = 'high'", "port"), ("[agent]\nallowed_tool = []", "agent.allowed_tool"), ("host = '0.0.0.0'", "host")],
)
def test_serve_names_the_setting_that_is_wrong(tmp_path: Path, text: str, key: str) -> None:
    config = tmp_path / "other.toml"
    config.write_text(text, encoding="utf-8")
    done = serve(tmp_path, "--config", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {key}: ")
    assert len(done.stderr.splitlines()) == 1


def test_serve_names_the_variable_that_is_wrong(tmp_path: Path) -> None:
    done = serve(tmp_path, PINNACE_PORT="high")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: PINNACE_PORT: ")


def test_serve_names_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    done = serve(tmp_path, "--config", "nowhere.toml")
    assert (done.returncode, done.stderr) == (2, "Error: nowhere.toml: cannot be read: No such file or directory\n")


def test_serve_refuses_a_public_address_without_a_key(tmp_path: Path) -> None:
    done = serve(tmp_path, "--host", "0.0.0.0")  # noqa: S104 - that it is refused is the point
    assert done.returncode == 2
    assert done.stderr.startswith("Error: host: ")


def test_serve_warns_of_a_variable_that_is_no_setting(tmp_path: Path) -> None:
    done = serve(tmp_path, PINNACE_PROT="8080", PINNACE_PORT="high")
    assert done.returncode == 2
    assert done.stderr.startswith("Warning: PINNACE_PROT is no setting and has no effect.\nError: PINNACE_PORT: ")
