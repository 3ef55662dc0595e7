"""Knows where settings come from and how their users wrote them; it must not know what they mean.

Sources, the first one that names a setting wins: arguments, `PINNACE_…` variables, `.env` in the current directory,
`pinnace.toml`. Nothing is read when this module is imported.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from pinnace.core.errors import Misconfigured
from pinnace.core.settings import Settings

PREFIX = "PINNACE_"
#: Variables whose place is deeper than their name says.
ALIASES = {"PINNACE_CLI_PATH": "PINNACE_CLI__PATH"}
#: What the command reads, and no server.
OF_THE_COMMAND = frozenset(["PINNACE_URL"])
DOTENV = ".env"


def load(environ: Mapping[str, str] | None = None, config: Path | None = None, **overrides: Any) -> Settings:
    """Parse the settings.

    Args:
        environ: The environment, by default that of this process.
        config: A `pinnace.toml` that must exist; by default the one in the current directory, if there is one.
        overrides: Settings that win over everything; None means not given.

    Raises:
        Misconfigured: a value cannot be served; `key` names it as its user wrote it.
    """
    from_file = _read_toml(config)
    from_variables = _merge(
        _read_variables(_read_dotenv()), _read_variables(os.environ if environ is None else environ)
    )
    from_arguments = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**_merge(_merge(from_file, from_variables), from_arguments))
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"]]
        given = {} if path[0] in from_arguments else from_variables
        raise Misconfigured(_explain(first), key=_as_written(path, given)) from error


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Name the `PINNACE_…` variables that are no settings, most likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {*ALIASES, *OF_THE_COMMAND}
    names = [name for name in environ if name.startswith(PREFIX)]
    return sorted(name for name in names if name.partition("__")[0] not in known and name not in known)


def _read_toml(config: Path | None) -> dict[str, Any]:
    path = config or Path("pinnace.toml")
    if config is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror}", key=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"is not TOML: {error}", key=str(path)) from error


def _read_dotenv() -> dict[str, str]:
    """The lines of `.env`; an empty one is none."""
    try:
        lines = dotenv_values(DOTENV)
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror}", key=DOTENV) from error
    except UnicodeDecodeError as error:
        raise Misconfigured("must be text in UTF-8", key=DOTENV) from error
    return {name: value for name, value in lines.items() if value}


class _Variables(EnvSettingsSource):
    """Pydantic's reading of variables, over those that are handed to it."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}
        super().__init__(Settings, env_prefix=PREFIX, env_nested_delimiter="__")

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def _read_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    given = dict(environ)
    for name, place in ALIASES.items():
        if name in given:
            given.setdefault(place, given.pop(name))
    try:
        return _Variables(given)()
    except SettingsError as error:
        wrong = next((name for name, value in given.items() if not _readable(name, value)), None)
        raise Misconfigured("must be JSON, as lists and tables are", key=wrong) from error


def _readable(name: str, value: str) -> bool:
    try:
        _Variables({name: value})()
    except SettingsError:
        return False
    return True


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return "there is no such setting" if error["type"] == "extra_forbidden" else message


def _as_written(path: list[str], variables: Mapping[str, Any]) -> str:
    """The variable that `path` is in, or the path itself where no variable gave it."""
    place: Any = variables
    written: list[str] = []
    for part in path:
        if not isinstance(place, dict):
            break
        if part not in place:
            return ".".join(path)
        place = place[part]
        written.append(part)
    return PREFIX + "__".join(written).upper()
