"""Knows `pinnace batch`: files of prompts in, a file of results out, also after it was stopped in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from served import Served


def command(served: Served, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "PINNACE_URL": served.url
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pinnace.client", "batch", *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(child: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = child.communicate(timeout=60)
    return child.returncode, told


def texts(path: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["custom_id"]: line["result"]["message"]["content"][0]["text"] for line in lines}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "prompts.jsonl",
            """{"custom_id": "a", "prompt": "::text one"}

{"messages": [{"role": "user", "content": "::text two"}]}
{"custom_id": "c", "params": {"messages": [{"role": "user", "content": "::text three"}]}}
""",
            {"a": "one", "line-3": "two", "c": "three"},
        ),
        (
            "prompts.csv",
            'custom_id,prompt,max_tokens\na,::text one,9\nb,"::text ""two, too""",\n',
            {"a": "one", "b": "two, too"},
        ),
        ("prompts.txt", "::text one\n\n::text two\n", {"line-1": "one", "line-3": "two"}),
    ],
)
def test_prompts_of_each_kind_become_results(
    served: Served, tmp_path: Path, name: str, content: str, expected: dict[str, str]
) -> None:
    (tmp_path / name).write_text(content)
    status, told = finished(command(served, tmp_path, "run", name, "-o", "results.jsonl"))
    assert status == 0, told
    assert texts(tmp_path / "results.jsonl") == expected
    assert f"{len(expected)} succeeded" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "results.jsonl"])


def test_a_run_that_is_stopped_goes_on_later(served: Served, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(f"::text {number}" for number in range(40)))
    child = command(served, tmp_path, "run", "prompts.txt", "-o", "results.jsonl")
    note = tmp_path / "results.jsonl.batch"
    deadline = time.monotonic() + 20
    while not note.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    status, told = finished(child)
    assert status == 130, told
    assert "pinnace batch resume results.jsonl" in told
    again = finished(command(served, tmp_path, "run", "prompts.txt", "-o", "results.jsonl"))
    assert again[0] == 1
    assert "under way" in again[1]
    status, told = finished(command(served, tmp_path, "resume", "results.jsonl"))
    assert status == 0, told
    assert len(texts(tmp_path / "results.jsonl")) == 40
    assert not note.exists()


def test_a_run_with_failures_says_so_by_its_status(served: Served, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("::text a\n::error 400\n")
    status, told = finished(command(served, tmp_path, "run", "prompts.txt", "-o", "results.jsonl"))
    assert status == 1
    assert "1 succeeded, 1 errored" in told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.jsonl", "{}\n", "Line 1 has none of 'prompt', 'messages' and 'params'."),
        ("p.jsonl", '{"prompt": "a"}\nnonsense\n', "Line 2 is no JSON"),
        ("p.csv", "a,b\n1,2\n", "one of them must be 'prompt'"),
        ("p.csv", "prompt,max_tokens\nx,many\n", "Line 2: max_tokens must be a number."),
        ("p.txt", "\n", "holds no prompt"),
        ("p.doc", "x\n", "say what it is with --format"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(
    served: Served, tmp_path: Path, name: str, content: str, told: str
) -> None:
    (tmp_path / name).write_text(content)
    status, said = finished(command(served, tmp_path, "run", name, "-o", "results.jsonl"))
    assert status == 1
    assert told in said.replace("\n", " ")
    assert not (tmp_path / "results.jsonl.batch").exists()


def test_there_is_nothing_to_resume_where_nothing_was_begun(served: Served, tmp_path: Path) -> None:
    status, told = finished(command(served, tmp_path, "resume", "results.jsonl"))
    assert (status, "no batch under way" in told) == (1, True)
