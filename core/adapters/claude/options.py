"""Knows what can be chosen about the CLI and its pool, as frozen values; it must not know where the choices come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pinnace.core.model.run import Isolation


class CredentialKind(StrEnum):
    """What the CLI authenticates with."""

    API_KEY = "api_key"
    AUTH_TOKEN = "auth_token"  # noqa: S105 - the name of a kind, not a secret
    OAUTH_TOKEN = "oauth_token"  # noqa: S105 - the name of a kind, not a secret
    BEDROCK = "bedrock"
    VERTEX = "vertex"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential and where it is good; `secret` is the key or token, empty for a cloud provider's own chain."""

    kind: CredentialKind
    secret: str = field(default="", repr=False)
    base_url: str = "https://api.anthropic.com"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def relayed(self) -> bool:
        """Whether calls go through the relay, which keeps the secret out of the CLI's reach.

        A cloud provider's requests are signed for its own host, so they go straight to the upstream.
        """
        return self.kind in (CredentialKind.API_KEY, CredentialKind.AUTH_TOKEN, CredentialKind.OAUTH_TOKEN)


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many processes live, and for how long.

    Times are in seconds, memory is the resident set in MiB. `hold` is how long a process keeps a conversation whose next
    turn may come; `spawns` is how many processes may be starting at once.
    """

    spares_messages: int = 1
    spares_agent: int = 1
    max_processes: int = 16
    max_waiting: int = 256
    max_turns: int = 250
    max_age: float = 3600.0
    max_memory: int = 700
    idle: float = 300.0
    hold: float = 60.0
    spawns: int = 2
    start_timeout: float = 60.0
    isolation_messages: Isolation = Isolation.PROJECT
    isolation_agent: Isolation = Isolation.PROCESS


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """What is done where the model's API fails; `longest_wait` and `pause` are in seconds."""

    retries: int = 2
    longest_wait: float = 5.0
    failures: int = 5
    pause: float = 30.0


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What the agent may do, in Claude Code's own words.

    `workspace` is a directory that each run starts with a copy of, or works in directly where `shared` is set. `confined`
    keeps an agent to the system's files and its own, and to `readable` and `writable`.
    """

    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    permission_mode: str = "default"
    max_turns: int = 50
    workspace: Path | None = None
    shared: bool = False
    replace_system: bool = False
    setting_sources: tuple[str, ...] = ("project",)
    confined: bool = False
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class CliOptions:
    """Which binary runs, where its directories lie, and what is added to its environment."""

    path: Path
    run_directory: Path
    credential: Credential
    inherited: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent_retries: int = 2
    #: Give up on a run when the CLI says nothing for so many seconds.
    silence: float = 300.0
