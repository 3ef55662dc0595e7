from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from pinnace.client.command import main
from pinnace.client.examination import examine, render, render_json
from pinnace.core.model.diagnosis import Finding

FINDINGS = [
    Finding("settings", "ok", "They can be served.", None),
    Finding("Claude Code CLI", "warning", "Version 1 runs.", "Unset PINNACE_CLI_PATH."),
    Finding("credential", "failed", "There is none [sic].", "Set ANTHROPIC_API_KEY."),
]


def test_a_person_sees_a_sign_a_name_and_the_remedy() -> None:
    written = io.StringIO()
    render(FINDINGS, Console(file=written, width=100))
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "✓ settings: They can be served.",
        "! Claude Code CLI: Version 1 runs.",
        "  Unset PINNACE_CLI_PATH.",
        "✗ credential: There is none [sic].",
        "  Set ANTHROPIC_API_KEY.",
    ]


def test_a_program_gets_every_field() -> None:
    assert json.loads(render_json(FINDINGS))[1] == {
        "name": "Claude Code CLI",
        "status": "warning",
        "message": "Version 1 runs.",
        "remedy": "Unset PINNACE_CLI_PATH.",
    }


def test_a_wrong_setting_is_a_finding() -> None:
    (finding,) = examine(None, {"PINNACE_PORT": "high"})
    assert (finding.name, finding.status) == ("settings", "failed")
    assert "PINNACE_PORT" in finding.message


def test_what_is_examined_is_the_given_environment(tmp_path: Path) -> None:
    findings = examine(None, {"PINNACE_DATA_DIR": str(tmp_path), "PINNACE_CLI_PATH": str(tmp_path / "none")})
    status = {finding.name: finding.status for finding in findings}
    assert (status["settings"], status["credential"], status["Claude Code CLI"]) == ("ok", "failed", "failed")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_failure_is_the_commands_failure(tmp_path: Path, options: list[str]) -> None:
    config = tmp_path / "pinnace.toml"
    config.write_text("no_such_setting = 1", encoding="utf-8")
    result = CliRunner().invoke(main, ["doctor", "--config", str(config), *options])
    assert result.exit_code == 1
    assert "no_such_setting: there is no such setting" in result.output
