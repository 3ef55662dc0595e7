"""Knows what a child is started with and, above all, what of the server's environment it never gets; it must not start one."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launches import AWS, KEY, OAUTH, RELAY, options, started

from pinnace.core.adapters.claude.binary import BEDROCK, VERTEX
from pinnace.core.adapters.claude.guardian import MARK
from pinnace.core.adapters.claude.spawn import CLI_VARIABLES, FIXED, INHERITED, MESSAGES_ONLY
from pinnace.core.model.run import Profile

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


def test_secrets_do_not_show_in_the_options() -> None:
    shown = repr(options(KEY | AWS, extra_environment={"TOKEN": "added-secret"}))
    assert not [secret for secret in ("sk-ant-real", "aws-real", "added-secret") if secret in shown]


def test_children_that_started_together_do_not_all_go_at_once() -> None:
    shares = {started({}).share_of(400) for _ in range(50)}
    assert len(shares) > 10
    assert min(shares) >= 300
    assert max(shares) <= 400
    assert started({}).share_of(1) == 1
