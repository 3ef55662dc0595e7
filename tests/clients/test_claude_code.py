"""Knows that the Claude Code CLI itself, as a client, is served: its own tool loop runs through pinnace."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from served import Served

from pinnace.core.adapters.claude.binary import find_binary


def claude(served: Served, home: Path, prompt: str, *flags: str) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": f"{served.url}/api",
        "ANTHROPIC_API_KEY": "any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    command = [str(find_binary(None)), "-p", prompt, "--output-format", "json", *flags]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_prompt_is_answered(served: Served, tmp_path: Path) -> None:
    assert (
        claude(served, tmp_path, "Hello\n::text from the model", "--bare", "--tools", "")["result"] == "from the model"
    )


def test_its_own_tools_run_between_two_calls(served: Served, tmp_path: Path) -> None:
    served.upstream.forget()
    prompt = 'Look\n::tool Bash {"command": "echo ahoy-$((40 + 2))"}\n::turn\n::text done'
    assert claude(served, tmp_path, prompt, "--allowedTools", "Bash")["result"] == "done"
    assert "ahoy-42" in json.dumps(served.upstream.bodies[-1]["messages"])
