"""Knows every setting, its default and its bounds, in one frozen value; it must not know where they come from or go."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pinnace.core.errors import Misconfigured
from pinnace.core.model.run import Profile
from pinnace.core.sections import (
    AccessLogSettings,
    AgentSettings,
    AlertsSettings,
    AwsSettings,
    BatchesSettings,
    CacheSettings,
    CliSettings,
    CompatSettings,
    FilesSettings,
    MessagesSettings,
    PoolSettings,
    PricesSettings,
    RedisSettings,
    RoutingSettings,
    Secret,
    SessionsSettings,
    UpstreamSettings,
)


class Settings(BaseSettings):
    """All settings of one server."""

    # What was given may be a secret, also where it is wrong.
    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="The address to listen on; any but loopback needs `api_key`.")
    port: int = Field(default=8787, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    api_key: Secret | None = Field(default=None, min_length=1, description="The key that callers must send.")
    admin_key: Secret | None = Field(
        default=None, min_length=16, description="An administrator's key, beside those that `pinnace init` makes."
    )
    store: Literal["sqlite", "memory", "dynamodb"] = Field(
        default="sqlite",
        description="Where projects, keys, budgets, usage and sessions are kept: in `data_dir`, nowhere, or in AWS.",
    )
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("pinnace")),
        description="Where everything that is kept lies.",
    )
    default_profile: Profile = Field(
        default=Profile.AGENT, description="The profile where neither header nor prefix names one."
    )
    project: str = Field(default="default", min_length=1, max_length=128, description="The project of `api_key`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="One JSON object a line, or text for a person."
    )
    max_body_bytes: int = Field(default=33_554_432, ge=1024, description="The largest body of a request, in bytes.")
    ping_seconds: float = Field(default=15.0, gt=0, description="Seconds of silence in a stream before a ping.")
    request_timeout: float = Field(default=600.0, gt=0, description="Seconds that a call may take.")
    drain_seconds: float = Field(
        default=30.0, ge=0, description="Seconds that running calls may take to end on SIGTERM."
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Names that a server without keys may be called by, besides addresses and `localhost`."
    )
    cors_origins: tuple[str, ...] = Field(default=(), description="Origins whose pages may call this server.")
    compat: CompatSettings = CompatSettings()
    messages: MessagesSettings = MessagesSettings()
    agent: AgentSettings = AgentSettings()
    pool: PoolSettings = PoolSettings()
    cli: CliSettings = CliSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    prices: PricesSettings = PricesSettings()
    alerts: AlertsSettings = AlertsSettings()
    routing: RoutingSettings = RoutingSettings()
    cache: CacheSettings = CacheSettings()
    sessions: SessionsSettings = SessionsSettings()
    batches: BatchesSettings = BatchesSettings()
    files: FilesSettings = FilesSettings()
    redis: RedisSettings = RedisSettings()
    aws: AwsSettings = AwsSettings()
    access_log: AccessLogSettings = AccessLogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `pinnace.core.sources` hands over; the environment is never read behind its back."""
        return (init_settings,)

    def public(self) -> dict[str, Any]:
        """What may be shown: no secret, no value of the CLI's environment."""
        shown = self.model_dump(mode="json")
        shown["cli"]["environment"] = dict.fromkeys(self.cli.environment, "set")
        return shown


def check_binding(settings: Settings, *, has_keys: bool = False) -> None:
    """Refuse a public address without a key; `has_keys` says whether some were made already.

    Raises:
        Misconfigured: it would be open to everyone.
    """
    keyed = has_keys or settings.api_key is not None or settings.admin_key is not None
    if not keyed and not _is_loopback(settings.host):
        raise Misconfigured(
            "must be a loopback address as long as there is no key: set PINNACE_API_KEY or PINNACE_ADMIN_KEY, or run "
            "`pinnace init`",
            key="host",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
