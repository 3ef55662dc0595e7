"""Knows that transcripts lie where the CLI looks for them, and that nothing is ever written anywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import project_key_for_directory

from pinnace.core.adapters.claude.session_files import directory_name, place_of, write_transcripts
from pinnace.core.adapters.claude.spawn import Launch
from pinnace.core.model.run import Profile

UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(
        "mark", Profile.AGENT, ("claude",), {"CLAUDE_CONFIG_DIR": str(tmp_path / "home" / ".claude")}, tmp_path, "t"
    )


@pytest.mark.parametrize("name", ["a", "Ünïcode · näme", "with.dots_and spaces", "e" * 250, "ü" * 120 + "x" * 100])
def test_a_directory_s_name_is_the_agent_sdk_s(tmp_path: Path, name: str) -> None:
    assert directory_name(tmp_path / name) == project_key_for_directory(tmp_path / name)


def test_a_transcript_is_written_where_it_is_read_from(launch: Launch) -> None:
    work = launch.work
    sub = "subagents/agent-a1"
    entries: dict[str, list[dict[str, Any]]] = {
        "": [{"type": "user", "n": 1}, {"type": "mode"}],
        sub: [
            {"type": "agent_metadata", "agentType": "x"},
            {"type": "user"},
            {"type": "agent_metadata", "agentType": "y"},
        ],
    }
    write_transcripts(launch, work, UUID, entries)
    project = Path(launch.environment["CLAUDE_CONFIG_DIR"]) / "projects" / directory_name(work)
    main, other = project / f"{UUID}.jsonl", project / UUID / f"{sub}.jsonl"
    assert [json.loads(line) for line in main.read_text().splitlines()] == entries[""]
    assert [json.loads(line) for line in other.read_text().splitlines()] == [{"type": "user"}]
    assert json.loads(other.with_suffix(".meta.json").read_text()) == {"agentType": "y"}
    assert place_of(launch, str(main)) == (UUID, "")
    assert place_of(launch, str(other)) == (UUID, sub)


@pytest.mark.parametrize("subpath", ["../../x", "/etc/x", "a/../../b", ".hidden", "subagents/..", "a b"])
def test_a_place_outside_is_not_written(launch: Launch, subpath: str) -> None:
    write_transcripts(launch, launch.work, UUID, {subpath: [{"type": "user"}]})
    assert [path for path in launch.directory.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("path", ["/etc/passwd", "x.jsonl", "projects/only"])
def test_a_file_that_is_no_transcript_belongs_to_none(launch: Launch, path: str) -> None:
    assert place_of(launch, str(Path(launch.environment["CLAUDE_CONFIG_DIR"]) / path)) is None
