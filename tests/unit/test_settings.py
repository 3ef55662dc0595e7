"""Knows how settings are found, which source wins, and what a user is told about a wrong one."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from pinnace.core.errors import Misconfigured
from pinnace.core.settings import check_binding
from pinnace.core.sources import load, unknown_variables


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arguments_win_over_variables_over_dotenv_over_the_file(directory: Path) -> None:
    (directory / "pinnace.toml").write_text('port = 1\nhost = "::1"\nproject = "file"\nlog_level = "error"\n')
    (directory / ".env").write_text("PINNACE_PORT=2\nPINNACE_PROJECT=dotenv\nPINNACE_HOST=localhost\nOTHER=x\n")
    settings = load({"PINNACE_PORT": "3", "PINNACE_PROJECT": "variable"}, port=4, host=None)
    assert (settings.port, settings.project, settings.host, settings.log_level) == (4, "variable", "localhost", "error")


def test_nested_settings_come_as_json_and_leave_their_neighbours(directory: Path) -> None:
    (directory / "pinnace.toml").write_text("[agent]\nmax_turns = 7\n")
    settings = load({"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash","Read"]'})
    assert (settings.agent.allowed_tools, settings.agent.max_turns) == (("Bash", "Read"), 7)


def test_each_source_fills_in_what_the_one_before_left_open_in_a_section(directory: Path) -> None:
    (directory / "pinnace.toml").write_text("[pool]\nmax_processes = 1\nmax_waiting = 1\nmax_turns = 1\nmax_age = 1\n")
    (directory / ".env").write_text("PINNACE_POOL__MAX_PROCESSES=2\nPINNACE_POOL__MAX_WAITING=2\n")
    variables = {"PINNACE_POOL": '{"max_waiting": 3, "max_turns": 3}', "PINNACE_POOL__MAX_TURNS": "4"}
    pool = load(variables).pool
    assert (pool.max_processes, pool.max_waiting, pool.max_turns, pool.max_age) == (2, 3, 4, 1.0)


def test_a_table_comes_as_json() -> None:
    assert load({"PINNACE_CLI__ENVIRONMENT": '{"Token": "1"}'}).cli.environment == {"Token": "1"}


def test_another_file_can_be_named(directory: Path) -> None:
    (directory / "pinnace.toml").write_text("port = 1\n")
    (directory / "other.toml").write_text('project = "other"\n')
    settings = load({}, directory / "other.toml")
    assert (settings.project, settings.port) == ("other", 8787)


def test_an_empty_line_of_dotenv_is_none(directory: Path) -> None:
    (directory / ".env").write_text("PINNACE_API_KEY=\n# PINNACE_PORT=1\n")
    settings = load({})
    assert (settings.api_key, settings.port) == (None, 8787)


def test_settings_cannot_be_changed() -> None:
    settings = load({})
    with pytest.raises(ValidationError):
        settings.port = 1
    with pytest.raises(ValidationError):
        settings.pool.max_age = 1.0


def test_the_environment_that_is_given_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINNACE_PORT", "9")
    assert load({}).port == 8787
    assert load().port == 9


def test_the_path_of_the_cli_has_a_short_name(directory: Path) -> None:
    assert load({"PINNACE_CLI_PATH": "/opt/claude"}).cli.path == Path("/opt/claude")
    both = {"PINNACE_CLI_PATH": "/opt/short", "PINNACE_CLI__PATH": "/opt/long"}
    assert load(both).cli.path == Path("/opt/long")


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({"PINNACE_PORT": "many"}, "PINNACE_PORT"),
        ({"PINNACE_POOL__MAX_PROCESSES": "0"}, "PINNACE_POOL__MAX_PROCESSES"),
        ({"PINNACE_DEFAULT_PROFILE": "robot"}, "PINNACE_DEFAULT_PROFILE"),
        ({"PINNACE_API_KEY": ""}, "PINNACE_API_KEY"),
        ({"PINNACE_POOL__MAX_PROCESES": "3"}, "PINNACE_POOL__MAX_PROCESES"),
        ({"PINNACE_POOL": "3"}, "PINNACE_POOL"),
        ({"PINNACE_PORT": "1", "PINNACE_AGENT__ALLOWED_TOOLS": "Bash,Read"}, "PINNACE_AGENT__ALLOWED_TOOLS"),
        ({"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash", 3]'}, "PINNACE_AGENT__ALLOWED_TOOLS"),
        ({"PINNACE_AGENT__WORKSPACE": "/nowhere/at/all"}, "PINNACE_AGENT__WORKSPACE"),
    ],
)
def test_a_wrong_variable_is_named_as_it_was_written(variables: dict[str, str], key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(variables)
    assert caught.value.key == key


def test_a_wrong_line_of_dotenv_is_named_as_it_was_written(directory: Path) -> None:
    (directory / ".env").write_text("PINNACE_POOL__MAX_AGE=0\n")
    with pytest.raises(Misconfigured) as caught:
        load({})
    assert caught.value.key == "PINNACE_POOL__MAX_AGE"


def test_a_file_of_variables_that_is_not_text_is_refused(directory: Path) -> None:
    (directory / ".env").write_bytes(b"\xff\xfe=1")
    with pytest.raises(Misconfigured, match=r"^\.env: must be text in UTF-8"):
        load({})


def test_dotenv_has_the_short_name_too(directory: Path) -> None:
    (directory / ".env").write_text("PINNACE_CLI_PATH=/opt/claude\nUNRELATED=1\n")
    assert load({}).cli.path == Path("/opt/claude")


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"^port: "):
        load({"PINNACE_PORT": "1"}, port=-1)


def test_a_workspace_that_does_not_exist_is_refused(directory: Path) -> None:
    with pytest.raises(Misconfigured, match="directory"):
        load({"PINNACE_AGENT__WORKSPACE": str(directory / "missing")})
    assert load({"PINNACE_AGENT__WORKSPACE": str(directory)}).agent.workspace == directory


def test_a_wrong_line_of_the_file_is_named_as_it_was_written(directory: Path) -> None:
    (directory / "pinnace.toml").write_text("[pool]\nmax_proceses = 3\n")
    with pytest.raises(Misconfigured, match=r"pool\.max_proceses: there is no such setting"):
        load({})


def test_a_list_that_is_not_json_says_how_lists_are_written() -> None:
    with pytest.raises(Misconfigured, match="JSON"):
        load({"PINNACE_AGENT__ALLOWED_TOOLS": "Bash,Read"})


@pytest.mark.parametrize("text", ["port = ", None])
def test_a_file_that_cannot_be_read_is_named(directory: Path, text: str | None) -> None:
    file = directory / "other.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Misconfigured, match=r"other\.toml"):
        load({}, file)


def test_secrets_do_not_show() -> None:
    settings = load({"PINNACE_API_KEY": "pn-secret", "PINNACE_CLI__ENVIRONMENT": '{"TOKEN": "hidden"}'})
    assert "pn-secret" not in repr(settings)
    shown = json.dumps(settings.public())
    assert "pn-secret" not in shown
    assert "hidden" not in shown
    assert settings.public()["api_key"] == "set"
    assert settings.public()["cli"]["environment"] == {"TOKEN": "set"}
    assert load({}).public()["api_key"] is None


def test_a_secret_that_is_refused_does_not_show() -> None:
    with pytest.raises(Misconfigured) as caught:
        load({"PINNACE_CLI__ENVIRONMENT": '{"TOKEN": ["hidden"]}'})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1", "rediss://user:p%40ss@example.com:6380/2?ssl_check_hostname=false", "unix:///run/r.sock"],
)
def test_the_address_of_redis_is_a_secret(url: str) -> None:
    settings = load({"PINNACE_REDIS__URL": url})
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == url
    assert settings.public()["redis"] == {"url": "set", "prefix": "pinnace"}
    assert load({}).public()["redis"]["url"] is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hidden",
        "127.0.0.1:6379/hidden",
        "http://hidden",
        "redis://",
        "redis:///hidden",
        "unix://",
        "redis://a hidden",
    ],
)
def test_another_address_of_redis_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"^PINNACE_REDIS__URL: must be redis://HOST:6379/0, rediss://") as caught:
        load({"PINNACE_REDIS__URL": url})
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("prefix", ["", "a{b", "a b", "p" * 65])
def test_a_prefix_that_would_break_the_keys_of_redis_is_refused(prefix: str) -> None:
    with pytest.raises(Misconfigured, match=r"^PINNACE_REDIS__PREFIX: "):
        load({"PINNACE_REDIS__PREFIX": prefix})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - it must be refused
def test_a_public_address_needs_a_key(host: str) -> None:
    with pytest.raises(Misconfigured, match="host"):
        check_binding(load({}, host=host))
    check_binding(load({"PINNACE_API_KEY": "k"}, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    check_binding(load({}, host=host))


def test_a_variable_that_is_no_setting_is_found() -> None:
    given = {"PINNACE_PROT": "1", "PINNACE_POOL__MAX_TURNS": "1", "PINNACE_CLI_PATH": "x", "PATH": "y"}
    assert unknown_variables(given) == ["PINNACE_PROT"]
    assert unknown_variables({"PINNACE_POLL__MAX_TURNS": "1", "PINNACE_": "1", "PINNACE_ADMIN_KEY": "k"}) == [
        "PINNACE_",
        "PINNACE_POLL__MAX_TURNS",
    ]
