"""Knows a child's command, the directories that it works in, and what an agent may read and write; it must not start one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from launches import AWS, KEY, OAUTH, options, started

from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, Credential, CredentialKind
from pinnace.core.adapters.claude.spawn import PARKED, fill_workspace, flags, launch, make_directories
from pinnace.core.model.run import Profile

profiles = pytest.mark.parametrize("profile", list(Profile))


@profiles
@pytest.mark.parametrize("environ", [KEY, OAUTH], ids=["key", "oauth"])
def test_an_option_and_its_value_are_one_word(profile: Profile, environ: dict[str, str]) -> None:
    agent = AgentOptions(allowed_tools=("--help", "Bash(git *)"), disallowed_tools=("-p",), permission_mode="plan")
    chosen = flags(profile, options(environ), agent)
    assert chosen[0] == "-p"
    assert [word for word in chosen[1:] if not word.startswith("--")] == []
    assert "--help" not in chosen
    assert len({word.partition("=")[0] for word in chosen}) == len(chosen)


def test_the_command_is_the_binary_and_its_flags() -> None:
    child = started(KEY)
    assert child.command == ("/opt/claude", *flags(Profile.AGENT, options(KEY), AgentOptions()))


def test_the_agent_gets_its_rules_and_the_callers_tools() -> None:
    agent = AgentOptions(
        allowed_tools=("Read", "Bash(git *)"),
        disallowed_tools=("Bash(rm *)", "WebFetch"),
        permission_mode="acceptEdits",
        max_turns=7,
        setting_sources=("user", "project"),
    )
    chosen = flags(Profile.AGENT, options(KEY), agent)
    assert {
        "--allowedTools=Read,Bash(git *),mcp__caller__*",
        "--disallowedTools=Bash(rm *),WebFetch",
        "--permission-mode=acceptEdits",
        "--max-turns=7",
        "--setting-sources=user,project",
        "--await-claim",
    } <= set(chosen)
    assert "--await-claim" not in flags(Profile.AGENT, options(KEY), agent, claimable=False)
    assert not [word for word in flags(Profile.AGENT, options(KEY), AgentOptions()) if "disallowed" in word]


def test_messages_have_no_tools_no_settings_and_one_turn() -> None:
    chosen = set(flags(Profile.MESSAGES, options(KEY), AgentOptions(allowed_tools=("Bash",))))
    assert {"--tools=", "--max-turns=1", "--strict-mcp-config", "--setting-sources="} <= chosen
    assert not [word for word in chosen if "Bash" in word]


@pytest.mark.parametrize(("environ", "bare"), [(KEY, True), (AWS, True), (OAUTH, False)], ids=["key", "aws", "oauth"])
def test_messages_are_bare_or_parked_where_the_credential_is_an_oauth_token(
    environ: dict[str, str], bare: bool
) -> None:
    chosen = flags(Profile.MESSAGES, options(environ), AgentOptions())
    assert ("--bare" in chosen, PARKED in chosen) == (bare, not bare)


@profiles
def test_the_agent_is_never_bare(profile: Profile) -> None:
    assert ("--bare" in flags(profile, options(KEY), AgentOptions())) is (profile is Profile.MESSAGES)


def test_the_directories_of_a_child_are_readable_by_the_server_alone(tmp_path: Path) -> None:
    child = started(KEY, directory=tmp_path / "data" / "run")
    before = os.umask(0)
    try:
        make_directories(child)
    finally:
        os.umask(before)
    for directory in (child.directory, *(child.directory / name for name in ("home", "work", "tmp"))):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(path.name for path in child.directory.iterdir()) == ["home", "tmp", "work"]
    with pytest.raises(FileExistsError):
        make_directories(child)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "workspace"
    (directory / "deep").mkdir(parents=True)
    (directory / "deep" / "cargo.txt").write_text("seven barrels")
    (directory / "link").symlink_to("/etc/hostname")
    return directory


def test_an_agent_works_in_a_copy_of_the_workspace(tmp_path: Path, workspace: Path) -> None:
    child = started(KEY, directory=tmp_path)
    make_directories(child)
    assert fill_workspace(child, AgentOptions(workspace=workspace)) == child.work
    (child.work / "deep" / "cargo.txt").write_text("none")
    assert (workspace / "deep" / "cargo.txt").read_text() == "seven barrels"
    assert (child.work / "link").is_symlink()


def test_a_shared_workspace_is_worked_in_directly(tmp_path: Path, workspace: Path) -> None:
    child = started(KEY, directory=tmp_path)
    make_directories(child)
    assert fill_workspace(child, AgentOptions(workspace=workspace, shared=True)) == workspace
    assert list(child.work.iterdir()) == []


def test_without_a_workspace_the_directory_is_empty(tmp_path: Path) -> None:
    child = started(KEY, directory=tmp_path)
    make_directories(child)
    assert fill_workspace(child, AgentOptions()) == child.work
    assert list(child.work.iterdir()) == []


def confined(tmp_path: Path, path: str = "/usr/bin:/bin", **agent: Any) -> dict[str, list[str]]:
    """What the words before an agent's command let it read (`-r`) and write (`-w`)."""
    cli = CliOptions(
        tmp_path / "claude", tmp_path / "data" / "run", Credential(CredentialKind.API_KEY, "sk"), {"PATH": path}
    )
    command = launch(Profile.AGENT, cli, AgentOptions(confined=True, **agent), None).command
    words = command[4 : command.index("--")]
    assert command[command.index("--") + 1] == str(tmp_path / "claude")
    return {kind: [words[i + 1] for i in range(0, len(words), 2) if words[i] == kind] for kind in ("-r", "-w")}


def test_a_confined_agent_has_the_system_and_its_own_directory(tmp_path: Path) -> None:
    allowed = confined(tmp_path, "/usr/bin:relative:/home/me/tools/bin", readable=(Path("/srv/data"),))
    assert {"/usr", "/etc", "/home/me/tools/bin", "/home/me/tools/lib", "/srv/data"} <= set(allowed["-r"])
    own = [path for path in allowed["-w"] if not path.startswith("/dev/")]
    assert [Path(path).parent for path in own] == [tmp_path / "data" / "run"]
    assert not {"/", "/tmp", "/home", "/root", "/var", "relative"} & {*allowed["-r"], *allowed["-w"]}  # noqa: S108 - a name, and nothing is put there


def test_a_confined_agent_reads_the_files_that_its_variables_name(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "SSL_CERT_FILE": "/srv/certificates.pem", "HOME": "/home/me"}
    cli = CliOptions(tmp_path / "c", tmp_path / "run", Credential(CredentialKind.API_KEY, "sk"), environ)
    command = launch(Profile.AGENT, cli, AgentOptions(confined=True), None).command
    assert "/srv/certificates.pem" in command
    assert "/home/me" not in command


def test_what_is_kept_beneath_a_readable_directory_is_left_out(tmp_path: Path) -> None:
    for name in ("data/run", "data/sessions", "beside/tool", "tools/bin"):
        (tmp_path / name).mkdir(parents=True)
    allowed = confined(tmp_path, readable=(tmp_path,))["-r"]
    assert str(tmp_path / "beside") in allowed
    assert not any(path == str(tmp_path) or path.startswith(str(tmp_path / "data")) for path in allowed)


def test_a_shared_workspace_can_be_written_and_a_copied_one_is_not_needed(tmp_path: Path) -> None:
    assert str(tmp_path / "w") in confined(tmp_path, workspace=tmp_path / "w", shared=True)["-w"]
    assert str(tmp_path / "w") not in confined(tmp_path, workspace=tmp_path / "w")["-w"]


def test_plain_messages_run_nothing_and_are_not_confined(tmp_path: Path) -> None:
    cli = CliOptions(tmp_path / "claude", tmp_path / "run", Credential(CredentialKind.API_KEY, "sk"), {})
    assert launch(Profile.MESSAGES, cli, AgentOptions(confined=True), None).command[0] == str(tmp_path / "claude")
