"""Knows what a child is started with and, above all, what of the server's environment it never gets; it must not start one."""

from __future__ import annotations

import os
import stat
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.adapters.claude.binary import BEDROCK, VERTEX, find_credential
from pinnace.core.adapters.claude.guardian import MARK
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, Credential, CredentialKind
from pinnace.core.adapters.claude.spawn import (
    CLI_VARIABLES,
    FIXED,
    INHERITED,
    MESSAGES_ONLY,
    PARKED,
    Launch,
    fill_workspace,
    flags,
    launch,
    make_directories,
)
from pinnace.core.model.run import Profile

RELAY = "http://127.0.0.1:5999/abc"
KEY = {"ANTHROPIC_API_KEY": "sk-ant-real"}
OAUTH = {"CLAUDE_CODE_OAUTH_TOKEN": "oauth-real"}
AWS = {
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "aws-id",
    "AWS_SECRET_ACCESS_KEY": "aws-real",
}
#: What every child has, whatever the parent has.
OWN = {
    *FIXED,
    "CLAUDE_CODE_MAX_RETRIES",
    MARK,
    "HOME",
    "CLAUDE_CONFIG_DIR",
    "TMPDIR",
    "CLAUDE_CODE_TMPDIR",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL",
}
profiles = pytest.mark.parametrize("profile", list(Profile))


def options(environ: dict[str, str], directory: Path = Path("/run/pinnace"), **fields: Any) -> CliOptions:
    return replace(CliOptions(Path("/opt/claude"), directory, find_credential(environ), inherited=environ), **fields)


def started(
    environ: dict[str, str], profile: Profile = Profile.AGENT, directory: Path = Path("/run/pinnace"), **fields: Any
) -> Launch:
    cli = options(environ, directory, **fields)
    return launch(profile, cli, AgentOptions(), RELAY if cli.credential.relayed else None)


@profiles
@given(st.dictionaries(st.text(string.ascii_letters + "_", min_size=1), st.text(min_size=1), max_size=6))
def test_no_variable_arrives_that_is_not_on_the_list(profile: Profile, others: dict[str, str]) -> None:
    environment = started(others | KEY, profile).environment
    assert environment.keys() <= {*INHERITED, *CLI_VARIABLES, *OWN, *MESSAGES_ONLY}


@profiles
@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PINNACE_API_KEY",
        "PINNACE_ADMIN_KEY",
        "GITHUB_TOKEN",
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "ANTHROPIC_CUSTOM_HEADERS",
    ],
)
def test_a_secret_of_the_parent_never_arrives(profile: Profile, name: str) -> None:
    environment = started({name: "a-secret", **KEY}, profile).environment
    assert name not in environment
    assert "a-secret" not in environment.values()


@profiles
@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_relayed_key_never_arrives_but_a_token_of_the_childs_own(profile: Profile, name: str) -> None:
    child = started({name: "sk-ant-real", "ANTHROPIC_BASE_URL": "https://gateway.example"}, profile)
    assert "sk-ant-real" not in " ".join((*child.environment.values(), *child.command))
    assert child.environment["ANTHROPIC_API_KEY"] == child.token
    assert child.environment["ANTHROPIC_BASE_URL"] == RELAY
    assert "ANTHROPIC_AUTH_TOKEN" not in child.environment


@pytest.mark.parametrize(
    ("url", "told"), [({}, True), ({"ANTHROPIC_BASE_URL": "https://gateway.example"}, False)], ids=["api", "gateway"]
)
def test_only_the_api_itself_counts_as_first_party_behind_the_relay(url: dict[str, str], told: bool) -> None:
    assert ("CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL" in started(KEY | url).environment) is told


def test_an_oauth_token_stays_in_the_server_and_the_child_takes_the_relays_for_one() -> None:
    child = started(OAUTH)
    assert child.environment["CLAUDE_CODE_OAUTH_TOKEN"] == child.token
    assert child.environment["ANTHROPIC_BASE_URL"] == RELAY
    assert "ANTHROPIC_API_KEY" not in child.environment
    assert "oauth-real" not in str(child)


def test_the_variables_of_bedrock_arrive_with_bedrock_alone() -> None:
    with_bedrock = started(AWS | KEY).environment
    assert AWS.items() <= with_bedrock.items()
    assert "ANTHROPIC_API_KEY" not in with_bedrock
    everything = dict.fromkeys((*BEDROCK, *VERTEX), "0") | AWS
    for other in (KEY, OAUTH, {"CLAUDE_CODE_USE_VERTEX": "1"}):
        environment = started(everything | {"CLAUDE_CODE_USE_BEDROCK": "0"} | other).environment
        assert environment.keys().isdisjoint(BEDROCK)
    assert started(AWS | {"CLAUDE_CODE_USE_VERTEX": "1"}).environment.keys().isdisjoint(VERTEX)


def test_without_a_credential_no_variable_of_one_arrives() -> None:
    environment = started({}).environment
    assert not [name for name in environment if name.startswith(("ANTHROPIC_", "AWS_"))]


@profiles
def test_what_a_child_needs_of_the_parent_arrives(profile: Profile) -> None:
    needed = {"PATH": "/bin", "LANG": "C.UTF-8", "HTTPS_PROXY": "http://proxy:1", "ANTHROPIC_MODEL": "claude-x"}
    assert needed.items() <= started(needed | KEY, profile).environment.items()


def test_the_fidelity_of_messages_is_set_for_messages_alone() -> None:
    messages, agent = started(KEY, Profile.MESSAGES), started(KEY, Profile.AGENT, agent_retries=7)
    assert MESSAGES_ONLY.items() <= messages.environment.items()
    assert agent.environment["CLAUDE_CODE_MAX_RETRIES"] == "7"
    assert "CLAUDE_CODE_DISABLE_THINKING" not in agent.environment


def test_added_variables_arrive_and_cannot_change_the_mark_or_the_directories() -> None:
    added = {"EXTRA": "1", "LANG": "de", MARK: "x", "HOME": "/root", "TMPDIR": "/tmp", "CLAUDE_CONFIG_DIR": "/root"}  # noqa: S108 - a name, and nothing is put there
    child = started(KEY | {"LANG": "en"}, extra_environment=added)
    environment = child.environment
    assert (environment["EXTRA"], environment["LANG"], environment[MARK]) == ("1", "de", child.mark)
    for name in ("HOME", "TMPDIR", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_TMPDIR"):
        assert Path(environment[name]).is_relative_to(child.directory)


def test_mark_token_and_directories_are_each_childs_own() -> None:
    given = KEY | {"HOME": "/root", "TMPDIR": "/tmp", MARK: "the parent's"}  # noqa: S108 - a name, and nothing is put there
    one, other = started(given), started(given)
    assert one.environment[MARK] == one.mark != other.mark
    assert one.token != other.token
    assert one.directory == Path("/run/pinnace") / one.mark
    assert one.environment["HOME"] != other.environment["HOME"]
    assert "/root" not in one.environment.values()


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


def test_secrets_do_not_show_in_the_options() -> None:
    shown = repr(options(KEY | AWS, extra_environment={"TOKEN": "added-secret"}))
    assert not [secret for secret in ("sk-ant-real", "aws-real", "added-secret") if secret in shown]


def test_children_that_started_together_do_not_all_go_at_once() -> None:
    shares = {started({}).share_of(400) for _ in range(50)}
    assert len(shares) > 10
    assert min(shares) >= 300
    assert max(shares) <= 400
    assert started({}).share_of(1) == 1


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
