"""Knows the flags, the environment and the directories that a child is started with; it must not start one.

The environment is built from an allow-list: a child's Bash tool shows all of it to whoever prompts the agent.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinnace.core.adapters.claude import confine
from pinnace.core.adapters.claude.guardian import MARK
from pinnace.core.adapters.claude.options import AgentOptions, CliOptions, CredentialKind
from pinnace.core.model.run import Profile

#: What a child may see of the server's environment: where programs are, language, time zone, certificates and proxies.
INHERITED = [
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SHELL",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
]
#: The CLI's own variables that choose models; they hold no secret.
CLI_VARIABLES = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
]
FIXED = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    # What ends in the background begins a turn of its own, which would be taken for the answer to the caller's next one.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    # A call that fails must be seen to fail: the CLI's own second chances would be billed to the caller unseen.
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_MODEL_ACCESS_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_DISABLE_LEGACY_MODEL_REMAP": "1",
}
#: Without these the CLI adds thinking, effort, context management and its own prompt history to a caller's request.
MESSAGES_ONLY = {
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_THINKING": "1",
    "CLAUDE_CODE_EFFORT_LEVEL": "unset",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
    "CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1",
    "CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING": "1",
}
STREAM_JSON = (
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    "--include-partial-messages",
)
#: What an agent may read beside its own: the system, and nothing that is a user's.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/proc", "/sys", "/dev", "/nix", "/snap")
#: Where `/etc/resolv.conf` may lead.
RESOLVERS = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd", "/mnt/wsl/resolv.conf")
#: Variables of a child that name files which it must read.
NAMED_FILES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
)
#: What it may write beside its own.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")
PARKED = "--await-claim"
#: The name of the MCP server that offers the caller's tools to the agent.
CALLER = "caller"
TOOL_PREFIX = f"mcp__{CALLER}__"


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that starts one child; `mark` names it in its environment, `directory` is its own and is removed after it."""

    mark: str
    profile: Profile
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    token: str

    @property
    def work(self) -> Path:
        """The directory that it works in."""
        return self.directory / "work"

    @property
    def parked(self) -> bool:
        """Whether it takes no turn before a claim has bound it."""
        return PARKED in self.command

    def share_of(self, limit: int) -> int:
        """Three quarters of `limit` or more, by the mark: children that started together must not all go at once."""
        return limit - limit * int(self.mark[:4], 16) // (4 * 0x10000)


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a session goes on in a new child: in the directory `place`, with the transcript `uuid`."""

    place: str
    uuid: str


def launch(
    profile: Profile,
    cli: CliOptions,
    agent: AgentOptions,
    relay_url: str | None,
    *,
    claimable: bool = True,
    resumption: Resumption | None = None,
) -> Launch:
    """Decide how a child of `profile` starts.

    `relay_url` is where it reaches the model's API, None for straight; `claimable` parks an agent as a spare.
    """
    mark = resumption.place if resumption else secrets.token_hex(8)
    token = f"sk-ant-pinnace-{secrets.token_urlsafe(32)}"
    directory = cli.run_directory / mark
    environment = {name: cli.inherited[name] for name in (*INHERITED, *CLI_VARIABLES) if name in cli.inherited}
    environment |= FIXED | {"CLAUDE_CODE_MAX_RETRIES": str(cli.agent_retries)}
    if profile is Profile.MESSAGES:
        environment |= MESSAGES_ONLY
    environment |= _authentication(cli, relay_url, token) | dict(cli.extra_environment)
    environment |= {
        MARK: mark,
        "HOME": str(directory / "home"),
        "CLAUDE_CONFIG_DIR": str(directory / "home" / ".claude"),
        "TMPDIR": str(directory / "tmp"),
        "CLAUDE_CODE_TMPDIR": str(directory / "tmp"),
    }
    words = [str(cli.path), *flags(profile, cli, agent, claimable=claimable)]
    if profile is Profile.AGENT and agent.confined:
        named = [environment[name] for name in NAMED_FILES if environment.get(name)]
        words = [*confinement(cli, agent, directory, named), *words]
    if resumption:
        words.append(f"--resume={resumption.uuid}")
    return Launch(mark, profile, tuple(words), environment, directory, token)


def flags(profile: Profile, cli: CliOptions, agent: AgentOptions, *, claimable: bool = True) -> tuple[str, ...]:
    """The command line of a child, every option and its value as one word, so that no value can pass for an option."""
    parked = (PARKED,) if claimable else ()
    if profile is Profile.MESSAGES:
        # The token is not for `--bare`, and its system prompt can only be given by a claim.
        how = parked if cli.credential.kind is CredentialKind.OAUTH_TOKEN else ("--bare",)
        return (
            *STREAM_JSON,
            "--no-session-persistence",
            *how,
            "--tools=",
            "--max-turns=1",
            "--strict-mcp-config",
            "--setting-sources=",
        )
    allowed = ",".join((*agent.allowed_tools, f"{TOOL_PREFIX}*"))
    chosen = [
        "--session-mirror",
        f"--allowedTools={allowed}",
        f"--permission-mode={agent.permission_mode}",
        f"--max-turns={agent.max_turns}",
        f"--setting-sources={','.join(agent.setting_sources)}",
    ]
    if agent.disallowed_tools:
        chosen.append(f"--disallowedTools={','.join(agent.disallowed_tools)}")
    return (*STREAM_JSON, *parked, *chosen)


def confinement(cli: CliOptions, agent: AgentOptions, directory: Path, named: Sequence[str] = ()) -> list[str]:
    """The words before a command that keep it, and all that it starts, to the system's files, its own and the `named` ones."""
    data = cli.run_directory.parent
    given = [*SYSTEM, *RESOLVERS, *named, *_programs(cli.inherited.get("PATH", "")), *map(str, agent.readable)]
    readable = [str(cli.path), *(place for path in given for place in _beside(Path(path), data))]
    writable = [str(directory), *DEVICES, *map(str, agent.writable)]
    if agent.workspace is not None and agent.shared:
        writable.append(str(agent.workspace))
    words = [sys.executable, "-I", "-S", confine.__file__]
    for path in readable:
        words += ["-r", path]
    for path in writable:
        words += ["-w", path]
    return [*words, "--"]


def _beside(path: Path, hidden: Path) -> Iterator[str]:
    """`path`, or where `hidden` lies beneath it all that does not."""
    if path != hidden and path not in hidden.parents:
        yield str(path)
    elif path != hidden and path.is_dir():
        for entry in path.iterdir():
            yield from _beside(entry, hidden)


def _programs(path: str) -> Iterator[str]:
    """What programs need that are found by PATH: their directories, and the ones beside a `bin`."""
    for entry in path.split(os.pathsep):
        place = Path(entry)
        if place.is_absolute():
            yield entry
            if place.name in ("bin", "sbin", "shims"):
                yield from (
                    str(place.parent / name) for name in ("lib", "lib64", "libexec", "share", "include", "versions")
                )


def make_directories(started: Launch) -> None:
    """Create the child's directories, readable by the server's user alone."""
    started.directory.mkdir(mode=0o700, parents=True)
    for name in ("home", "work", "tmp"):
        (started.directory / name).mkdir(mode=0o700)


def fill_workspace(started: Launch, agent: AgentOptions) -> Path:
    """Give the agent its working directory: a copy of the configured workspace, the workspace itself, or an empty one."""
    if agent.workspace is None:
        return started.work
    if agent.shared:
        return agent.workspace
    shutil.copytree(agent.workspace, started.work, symlinks=True, dirs_exist_ok=True)
    return started.work


def _authentication(cli: CliOptions, relay_url: str | None, token: str) -> dict[str, str]:
    credential = cli.credential
    if relay_url is not None:
        # `ASSUME_FIRST_PARTY`: behind the relay is the API that the CLI would have talked to.
        first_party = {"CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL": "1"} if "anthropic.com" in credential.base_url else {}
        oauth = credential.kind is CredentialKind.OAUTH_TOKEN
        name = "CLAUDE_CODE_OAUTH_TOKEN" if oauth else "ANTHROPIC_API_KEY"
        return {"ANTHROPIC_BASE_URL": relay_url, name: token} | first_party
    return dict(credential.environment)
