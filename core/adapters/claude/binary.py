"""Knows where the CLI is and what it authenticates with; it must not start it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from pinnace.core.adapters.claude.options import Credential, CredentialKind
from pinnace.core.errors import CliUnavailable

DEFAULT_BASE_URL = "https://api.anthropic.com"
#: What the CLI needs of a cloud provider's own variables. An agent's tools can read them: docs/security.md.
BEDROCK = [
    "CLAUDE_CODE_USE_BEDROCK",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
]
VERTEX = [
    "CLAUDE_CODE_USE_VERTEX",
    "CLOUD_ML_REGION",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "ANTHROPIC_VERTEX_BASE_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH",
]
#: Where a provider's own tools look below the home, by the variable that says so: the CLI's home is another one.
FILES = {
    "AWS_CONFIG_FILE": ".aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": ".aws/credentials",
    "GOOGLE_APPLICATION_CREDENTIALS": ".config/gcloud/application_default_credentials.json",
}


def find_binary(configured: Path | None) -> Path:
    """Find the CLI: the configured one, else the one that `claude-agent-sdk`'s wheel bundles.

    Raises:
        CliUnavailable: there is none.
    """
    if configured is not None:
        if not configured.is_file():
            raise CliUnavailable("PINNACE_CLI_PATH names no file; point it at the claude binary, or unset it.")
        return configured
    # The package itself takes more than a second to import, and nothing of it is needed.
    found = importlib.util.find_spec("claude_agent_sdk")
    for place in (found.submodule_search_locations or []) if found else []:
        binary = Path(place) / "_bundled" / "claude"
        if binary.is_file():
            return binary
    raise CliUnavailable(
        "There is no Claude Code CLI here: pip install 'pinnace[server]' brings it, or set PINNACE_CLI_PATH."
    )


def find_credential(environ: Mapping[str, str]) -> Credential:
    """Tell what the CLI will authenticate with, in the CLI's order: a cloud provider, a bearer token, a key, an OAuth token."""
    base_url = environ.get("ANTHROPIC_BASE_URL") or DEFAULT_BASE_URL
    for switch, names, kind in (
        ("CLAUDE_CODE_USE_BEDROCK", BEDROCK, CredentialKind.BEDROCK),
        ("CLAUDE_CODE_USE_VERTEX", VERTEX, CredentialKind.VERTEX),
    ):
        if environ.get(switch, "").lower() in ("1", "true", "yes", "on"):
            return Credential(kind, environment=_of_provider(environ, names))
    for name, kind in (
        ("ANTHROPIC_AUTH_TOKEN", CredentialKind.AUTH_TOKEN),
        ("ANTHROPIC_API_KEY", CredentialKind.API_KEY),
        ("CLAUDE_CODE_OAUTH_TOKEN", CredentialKind.OAUTH_TOKEN),
    ):
        if environ.get(name):
            return Credential(kind, environ[name], base_url)
    return Credential(CredentialKind.NONE, base_url=base_url)


def _of_provider(environ: Mapping[str, str], names: list[str]) -> dict[str, str]:
    home = environ.get("HOME")
    found = {name: environ[name] for name in names if name in environ}
    for name, place in FILES.items():
        if home and name in names and not found.get(name) and (file := Path(home, place)).is_file():
            found[name] = str(file)
    return found
