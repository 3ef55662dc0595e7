"""Knows how a test prepares the start of a child, with each kind of credential in the server's environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pinnace.core.adapters.claude.binary import find_credential
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions
from pinnace.core.adapters.claude.spawn import Launch, launch
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


def options(environ: dict[str, str], directory: Path = Path("/run/pinnace"), **fields: Any) -> CliOptions:
    return replace(CliOptions(Path("/opt/claude"), directory, find_credential(environ), inherited=environ), **fields)


def started(
    environ: dict[str, str], profile: Profile = Profile.AGENT, directory: Path = Path("/run/pinnace"), **fields: Any
) -> Launch:
    cli = options(environ, directory, **fields)
    return launch(profile, cli, AgentOptions(), RELAY if cli.credential.relayed else None)
