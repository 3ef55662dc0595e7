"""Knows every section of the settings, its defaults and its bounds; it must not know where they come from or go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    PlainSerializer,
    SecretStr,
    field_validator,
)

from pinnace.core.model.run import Isolation, MessageMode

#: A queue's URL, or its name.
_QUEUE = r"^(https?://\S+|[A-Za-z0-9_-]{1,80})$"
#: What is never shown, only that it is set.
Secret = Annotated[SecretStr, PlainSerializer(lambda _secret: "set", return_type=str)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CompatSettings(_Section):
    """How closely old and new API versions are held apart."""

    strict: bool = Field(default=False, description="Refuse what the caller's `anthropic-version` no longer has.")


class MessagesSettings(_Section):
    """The `messages` profile."""

    isolation: Isolation = Field(
        default=Isolation.PROJECT,
        description="`project`: a process is rewound and serves its project again; `process`: one call each.",
    )
    spares: int = Field(default=1, ge=0, le=64, description="Processes parked before a request is known.")


class AgentSettings(_Section):
    """The `agent` profile."""

    isolation: Isolation = Field(
        default=Isolation.PROCESS,
        description="`process`: one conversation a process. Tools leave traces, so `project` serves no more.",
    )
    spares: int = Field(default=1, ge=0, le=64, description="Processes parked before a request is known.")
    allowed_tools: tuple[str, ...] = Field(
        default=(),
        description="Claude Code's tools that run without asking, in its own rule syntax; reading in its directory needs none.",
    )
    disallowed_tools: tuple[str, ...] = Field(
        default=(), description="Claude Code's tools that never run, in its own rule syntax."
    )
    permission_mode: Literal["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"] = Field(
        default="default", description="Claude Code's permission mode; what would ask is denied."
    )
    max_turns: int = Field(default=50, ge=1, le=10_000, description="Calls to the model in one run.")
    workspace: DirectoryPath | None = Field(
        default=None, description="A directory that each conversation starts with a copy of."
    )
    share_workspace: bool = Field(default=False, description="Work in the workspace itself instead of a copy.")
    system_prompt: Literal["append", "replace"] = Field(
        default="append", description="Whether the caller's `system` follows Claude Code's own prompt or replaces it."
    )
    confine: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="Whether the kernel keeps an agent to the system's files and its own: where it can, or else not at all.",
    )
    readable: tuple[Path, ...] = Field(default=(), description="What a confined agent may read beside that.")
    writable: tuple[Path, ...] = Field(default=(), description="What a confined agent may write beside its own.")
    setting_sources: tuple[Literal["user", "project", "local"], ...] = Field(
        default=("project",), description="Where Claude Code reads its settings, skills, commands, hooks and subagents."
    )
    message_mode: MessageMode = Field(
        default=MessageMode.IGNORE, description="How the agent's steps show where `x-sdk-message-mode` does not say."
    )


class PoolSettings(_Section):
    """The pool of CLI processes."""

    max_processes: int = Field(
        default=16, ge=1, le=1024, description="Processes that may live at once; each holds about 100 MB."
    )
    max_waiting: int = Field(default=256, ge=0, description="Calls that may wait for a process; more get a 529.")
    max_turns: int = Field(
        default=250, ge=1, description="Calls after which a process is replaced, up to a quarter sooner."
    )
    max_age: float = Field(default=3600.0, gt=0, description="Seconds after which a process is replaced.")
    max_memory_mb: int = Field(
        default=700, ge=64, description="Resident memory, in MiB, at which a process is replaced."
    )
    idle_seconds: float = Field(default=300.0, gt=0, description="Seconds after which an idle process ends.")
    hold_seconds: float = Field(
        default=60.0, ge=0, description="Seconds that an agent's process waits for its conversation's next turn."
    )
    concurrent_starts: int = Field(default=2, ge=1, description="Processes that may be starting at once.")
    start_timeout: float = Field(default=60.0, gt=0, description="Seconds within which a process must answer.")


class CliSettings(_Section):
    """The Claude Code CLI."""

    path: Path | None = Field(
        default=None, description="The binary; without it the one that `claude-agent-sdk` bundles."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="More variables for the CLI; its tools can read them."
    )
    retries: int = Field(default=2, ge=0, le=10, description="The CLI's own retries of a call, in the `agent` profile.")
    silence_seconds: float = Field(
        default=300.0, gt=0, description="Seconds without a word after which the CLI counts as hung."
    )
    expected_version: str = Field(default="2.1.329", description="Another version is served, with a warning.")


class UpstreamSettings(_Section):
    """What is done where the model's API fails."""

    retries: int = Field(
        default=2, ge=0, le=10, description="How often a call of the `messages` profile is made again."
    )
    longest_wait_seconds: float = Field(
        default=5.0, gt=0, description="Seconds that are waited at most before a call is made again."
    )
    failures: int = Field(
        default=5, ge=0, description="Failed calls in a row after which no call is made for a while; 0 never stops."
    )
    pause_seconds: float = Field(default=30.0, gt=0, description="Seconds until a call tries a failing API again.")


class PricesSettings(_Section):
    """What models cost."""

    file: FilePath | None = Field(
        default=None, description="A TOML file of your own prices; they come before those of `genai-prices`."
    )
    allow_unpriced: bool = Field(
        default=False, description="Let a project with a budget in dollars use models that have no price, for nothing."
    )


class AlertsSettings(_Section):
    """Who is told when a budget reaches a threshold."""

    webhook_url: Secret | None = Field(
        default=None, description="The address that each alert is sent to; needs `alerts.webhook_secret`."
    )
    webhook_secret: Secret | None = Field(
        default=None, description="What each alert is signed with: `whsec_` and 24 to 64 random bytes in base64."
    )


class CacheSettings(_Section):
    """Answers that are given again."""

    enabled: bool = Field(default=False, description="Keep answers where `x-pinnace-cache` does not say.")
    ttl_seconds: float = Field(default=3600.0, gt=0, description="Seconds that an answer is kept.")


class AccessLogSettings(_Section):
    """The log of requests."""

    enabled: bool = Field(default=True, description="Write a line for each request, in `data_dir`.")
    days: int = Field(default=30, ge=1, le=3650, description="Days before today whose lines are kept.")


class RedisSettings(_Section):
    """What several servers share."""

    url: Secret | None = Field(
        default=None, description="A Redis that keeps limits and kept answers for all servers that name it."
    )
    prefix: str = Field(
        default="pinnace", pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="What pinnace's keys in Redis begin with."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None or re.fullmatch(r"rediss?://[^/?#\s]+([/?]\S*)?|unix://\S*/\S+", url.get_secret_value()):
            return url
        raise ValueError("must be redis://HOST:6379/0, rediss://HOST:6379/0 (with TLS) or unix:///PATH/TO/SOCKET")


class AwsSettings(_Section):
    """Where things are kept with `store = "dynamodb"`."""

    table: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_.-]{3,255}$", description="The DynamoDB table; `store` needs it."
    )
    bucket: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="The S3 bucket of sessions' files, and of what is too large for the table; `store` needs it.",
    )
    queue: str | None = Field(
        default=None,
        pattern=_QUEUE,
        description="The standard queue of SQS in which the requests of batches wait, by its URL or name; batches need it.",
    )
    dead_letter_queue: str | None = Field(
        default=None,
        pattern=_QUEUE,
        description="The queue in which requests of batches are put that were given up; without it they are only logged.",
    )
    region: str | None = Field(
        default=None, min_length=1, description="The region; without it that of AWS's own variables and files."
    )
    endpoint_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="An emulator that is asked in place of AWS."
    )


class SessionsSettings(_Section):
    """Conversations that are kept, with their files."""

    ttl_seconds: float | None = Field(
        default=None, gt=0, description="Seconds without a turn after which a session is dropped; without it never."
    )
    max_workspace_mb: int = Field(default=1024, ge=1, description="As many MiB of files are kept with a session.")
    ignore: tuple[str, ...] = Field(
        default=("node_modules/", ".venv/", "__pycache__/"),
        description="What of a session's directory is not kept, in the syntax of `.gitignore`.",
    )
    transcripts: Literal["store", "redis"] = Field(
        default="store", description="Where what was said is kept: where `store` says, or in the Redis of `redis.url`."
    )


class FilesSettings(_Section):
    """Files that are uploaded for later requests."""

    max_bytes: int = Field(default=524_288_000, ge=1, description="The largest file, in bytes.")
    quota_mb: int = Field(default=10_240, ge=1, description="As many MiB of files a project may have.")
    ttl_seconds: float | None = Field(
        default=None, gt=0, description="Seconds that a file is kept whose upload does not say; without it for ever."
    )
    max_request_mb: int | None = Field(
        default=None,
        ge=1,
        description="The MiB of a request that the host lets through; larger files go straight to the bucket.",
    )


class BatchesSettings(_Section):
    """Message batches."""

    concurrency: int = Field(
        default=4,
        ge=0,
        le=1024,
        description="Requests of batches that this server runs at once; 0 leaves them to others.",
    )
    max_bytes: int = Field(default=256 * 2**20, ge=1, description="The largest batch, in bytes.")
    max_requests: int = Field(default=100_000, ge=1, description="Most requests of a batch.")
    retry_seconds: float = Field(
        default=2.0,
        gt=0,
        description="Seconds until a request that failed for a passing reason is tried again; later twice as many.",
    )


class RoutingSettings(_Section):
    """The thresholds of `model: "auto"`."""

    large_context_tokens: int = Field(default=10_000, ge=0, description="More context than this goes to opus.")
    medium_context_tokens: int = Field(default=4_000, ge=0, description="More context than this goes to sonnet.")
    hard_words: int = Field(default=4, ge=0, description="Words from which a word of hard reasoning counts.")
    many_analyses: int = Field(default=4, ge=1, description="Words of analysis that make a task broad.")
    hard_complexity: float = Field(default=0.6, ge=0, le=1, description="Complexity from which opus is chosen.")
    many_tools: int = Field(default=5, ge=1, description="Tools that make a request an agent's.")
    many_items: int = Field(default=3, ge=1, description="Items or questions that make a request several tasks.")
    simple_words: int = Field(default=40, ge=0, description="Words up to which a request is short.")
    long_words: int = Field(default=200, ge=0, description="Words up to which a simple task stays simple.")
    scarce_budget: float = Field(default=0.1, ge=0, le=1, description="The share of a budget that is kept for haiku.")
