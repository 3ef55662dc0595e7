"""Knows where the CLI and its credential are looked for, and in which order; it must not start the CLI."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinnace.core.adapters.claude.binary import DEFAULT_BASE_URL, find_binary, find_credential
from pinnace.core.adapters.claude.options import CredentialKind
from pinnace.core.errors import CliUnavailable

TOKENS = {
    "ANTHROPIC_AUTH_TOKEN": "auth-secret",
    "ANTHROPIC_API_KEY": "key-secret",
    "CLAUDE_CODE_OAUTH_TOKEN": "oauth-secret",
}
CLOUDS = {"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_USE_VERTEX": "1"}


def test_a_configured_binary_is_taken(tmp_path: Path) -> None:
    binary = tmp_path / "claude"
    binary.touch()
    assert find_binary(binary) == binary


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_configured_binary_that_is_no_file_is_refused_without_naming_its_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(CliUnavailable, match="PINNACE_CLI_PATH") as caught:
        find_binary(tmp_path / name)
    assert str(tmp_path) not in str(caught.value)
    assert "/" not in str(caught.value)


def test_the_bundled_binary_is_taken_where_none_is_configured() -> None:
    assert find_binary(None).name == "claude"
    assert find_binary(None).is_file()


def test_credentials_are_found_in_order() -> None:
    given = {**CLOUDS, **TOKENS}
    found = []
    for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", *TOKENS):
        found.append(find_credential(given).kind)
        del given[name]
    found.append(find_credential(given).kind)
    assert found == [
        CredentialKind.BEDROCK,
        CredentialKind.VERTEX,
        CredentialKind.AUTH_TOKEN,
        CredentialKind.API_KEY,
        CredentialKind.OAUTH_TOKEN,
        CredentialKind.NONE,
    ]


@pytest.mark.parametrize(("name", "secret"), TOKENS.items())
def test_a_secret_is_found_and_does_not_show(name: str, secret: str) -> None:
    credential = find_credential({name: secret, "ANTHROPIC_BASE_URL": "https://gateway.example"})
    assert (credential.secret, credential.base_url) == (secret, "https://gateway.example")
    assert credential.environment == {}
    assert secret not in repr(credential)


@pytest.mark.parametrize("url", [{}, {"ANTHROPIC_BASE_URL": ""}])
def test_the_api_of_anthropic_is_the_default(url: dict[str, str]) -> None:
    assert find_credential({"ANTHROPIC_API_KEY": "k", **url}).base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize("name", TOKENS)
def test_an_empty_secret_is_none(name: str) -> None:
    assert find_credential({name: ""}).kind is CredentialKind.NONE


@pytest.mark.parametrize("switch", CLOUDS)
@pytest.mark.parametrize(
    ("value", "on"),
    [("1", True), ("true", True), ("YES", True), ("on", True), ("0", False), ("false", False), ("", False)],
)
def test_a_cloud_provider_is_switched_on_by_a_word_for_yes(switch: str, value: str, on: bool) -> None:
    kind = find_credential({switch: value}).kind
    assert kind is not CredentialKind.NONE if on else kind is CredentialKind.NONE


def test_bedrock_takes_its_own_variables_and_no_others() -> None:
    own = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "AWS_SESSION_TOKEN": "session",
        "AWS_BEARER_TOKEN_BEDROCK": "bearer",
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": "/srv/aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/srv/aws/credentials",
        "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/r",
        "AWS_ROLE_SESSION_NAME": "pinnace",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    }
    others = {**TOKENS, "CLOUD_ML_REGION": "x", "AWS_LAMBDA_FUNCTION_NAME": "f", "OTHER": "o"}
    credential = find_credential(own | others)
    assert credential.environment == own
    assert credential.secret == ""
    assert "aws-secret" not in repr(credential)


def test_vertex_takes_its_own_variables_and_no_others() -> None:
    own = {
        "CLAUDE_CODE_USE_VERTEX": "true",
        "CLOUD_ML_REGION": "europe-west1",
        "ANTHROPIC_VERTEX_PROJECT_ID": "p",
        "GOOGLE_APPLICATION_CREDENTIALS": "/run/key.json",
    }
    credential = find_credential(own | TOKENS | {"AWS_SECRET_ACCESS_KEY": "s"})
    assert (credential.kind, credential.environment) == (CredentialKind.VERTEX, own)


def test_all_but_a_cloud_providers_calls_are_relayed() -> None:
    relayed = {name for name in (*TOKENS, *CLOUDS) if find_credential({name: "1"}).relayed}
    assert relayed == {"ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"}
    assert not find_credential({}).relayed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for place in (".aws/config", ".aws/credentials", ".config/gcloud/application_default_credentials.json"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    return tmp_path


@pytest.mark.parametrize("chosen", [{"AWS_PROFILE": "work"}, {}], ids=["profile", "default"])
def test_a_profile_of_aws_is_found_from_the_private_home_of_the_cli(home: Path, chosen: dict[str, str]) -> None:
    given = {"CLAUDE_CODE_USE_BEDROCK": "1"} | chosen
    assert find_credential(given | {"HOME": str(home)}).environment == given | {
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
    }


def test_the_default_credentials_of_google_are_found_from_the_private_home_of_the_cli(home: Path) -> None:
    given = {"CLAUDE_CODE_USE_VERTEX": "1"}
    file = home / ".config" / "gcloud" / "application_default_credentials.json"
    found = find_credential(given | {"HOME": str(home)}).environment
    assert found == given | {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


@pytest.mark.parametrize(
    "given",
    [
        {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "AWS_PROFILE": "work",
            "AWS_CONFIG_FILE": "/srv/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/srv/credentials",
        },
        {"CLAUDE_CODE_USE_VERTEX": "1", "GOOGLE_APPLICATION_CREDENTIALS": "/run/key.json"},
    ],
    ids=["aws", "google"],
)
def test_a_file_that_is_named_wins_over_the_one_in_the_home(home: Path, given: dict[str, str]) -> None:
    assert find_credential(given | {"HOME": str(home)}).environment == given


@pytest.mark.parametrize("switch", CLOUDS)
def test_a_file_that_does_not_exist_is_not_named(tmp_path: Path, switch: str) -> None:
    for home in (str(tmp_path), ""):
        assert find_credential({switch: "1", "AWS_PROFILE": "work", "HOME": home}).environment.keys() <= {
            switch,
            "AWS_PROFILE",
        }
