"""Knows how settings become ports; adapters are imported here, and only when they are asked for."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pinnace.core.adapters.anthropic.counting import EstimatingTokenCounter, UpstreamTokenCounter
from pinnace.core.adapters.clock import SystemClock
from pinnace.core.adapters.prices import PriceList, read_own
from pinnace.core.adapters.webhook import NoAlerts, Webhook
from pinnace.core.errors import CliUnavailable, Misconfigured
from pinnace.core.model.diagnosis import Finding
from pinnace.core.ports import (
    AccessLog,
    AgentRunner,
    Alerts,
    AnswerStore,
    Clock,
    Directory,
    Ledger,
    Limiter,
    Prices,
    TokenCounter,
    UsageStore,
)
from pinnace.core.settings import Settings
from pinnace.core.stores.access_log import open_access_log
from pinnace.core.stores.batches import BatchStores, open_batches
from pinnace.core.stores.diagnosis import look_at_stores
from pinnace.core.stores.files import FileStores, open_files
from pinnace.core.stores.sessions import SessionStores, open_sessions
from pinnace.core.stores.tenancy import open_stores

if TYPE_CHECKING:
    from pinnace.core.adapters.claude.options import AgentOptions, PoolOptions

log = logging.getLogger("pinnace.wiring")


@dataclass(frozen=True, slots=True)
class Ports:
    """What a host needs to serve."""

    runner: AgentRunner
    counter: TokenCounter
    clock: Clock
    directory: Directory
    ledger: Ledger
    limiter: Limiter
    usage: UsageStore
    answers: AnswerStore
    prices: Prices
    alerts: Alerts
    access_log: AccessLog
    sessions: SessionStores
    batches: BatchStores
    files: FileStores
    close: Callable[[], Awaitable[None]]


def wire(settings: Settings, environ: Mapping[str, str] | None = None, clock: Clock | None = None) -> Ports:
    """Make the ports; nothing is started.

    `environ` holds the CLI's own variables (`ANTHROPIC_API_KEY`, …), by default those of this process.

    Raises:
        CliUnavailable: there is no CLI.
    """
    from pinnace.core.adapters.claude.binary import find_binary, find_credential
    from pinnace.core.adapters.claude.options import CliOptions, CredentialKind, UpstreamOptions
    from pinnace.core.adapters.claude.runner import ClaudeRunner

    given = os.environ if environ is None else environ
    credential = find_credential(given)
    time = clock or SystemClock()
    cli = CliOptions(
        path=find_binary(settings.cli.path),
        run_directory=settings.data_dir / "run",
        credential=credential,
        inherited=given,
        extra_environment=settings.cli.environment,
        agent_retries=settings.cli.retries,
        silence=settings.cli.silence_seconds,
    )
    agent, pool = _agent_options(settings), _pool_options(settings)
    counter: TokenCounter = EstimatingTokenCounter()
    if credential.kind is CredentialKind.API_KEY:
        counter = UpstreamTokenCounter(credential.base_url, {"x-api-key": credential.secret})
    elif credential.kind is CredentialKind.AUTH_TOKEN:
        counter = UpstreamTokenCounter(credential.base_url, {"authorization": f"Bearer {credential.secret}"})
    upstream = UpstreamOptions(
        retries=settings.upstream.retries,
        longest_wait=settings.upstream.longest_wait_seconds,
        failures=settings.upstream.failures,
        pause=settings.upstream.pause_seconds,
    )
    stores, sessions, batches = open_stores(settings), open_sessions(settings, time), open_batches(settings)
    files = open_files(settings)

    async def close() -> None:
        await files.close()
        await batches.close()
        await sessions.close()
        await stores.close()

    return Ports(
        runner=ClaudeRunner(cli, agent, pool, time, upstream),
        counter=counter,
        clock=time,
        directory=stores.directory,
        ledger=stores.ledger,
        limiter=stores.limiter,
        usage=stores.usage,
        answers=stores.answers,
        prices=open_prices(settings),
        alerts=open_alerts(settings, time),
        access_log=open_access_log(settings, time),
        sessions=sessions,
        batches=batches,
        files=files,
        close=close,
    )


def _agent_options(settings: Settings) -> AgentOptions:
    from pinnace.core.adapters.claude.options import AgentOptions

    return AgentOptions(
        allowed_tools=settings.agent.allowed_tools,
        disallowed_tools=settings.agent.disallowed_tools,
        permission_mode=settings.agent.permission_mode,
        max_turns=settings.agent.max_turns,
        workspace=settings.agent.workspace,
        shared=settings.agent.share_workspace,
        replace_system=settings.agent.system_prompt == "replace",
        setting_sources=settings.agent.setting_sources,
        confined=_is_confined(settings.agent.confine),
        readable=settings.agent.readable,
        writable=settings.agent.writable,
    )


def _is_confined(wanted: str) -> bool:
    """Whether agents are confined.

    Raises:
        Misconfigured: they must be, and the kernel cannot.
    """
    from pinnace.core.adapters.claude import confine

    possible = confine.version() > 0
    if wanted == "required" and not possible:
        raise Misconfigured(
            "cannot be 'required' here: it needs Linux 5.13 or newer with Landlock", key="agent.confine"
        )
    if wanted == "auto" and not possible:
        log.warning("agents are not confined: this kernel has no Landlock")
    return possible and wanted != "off"


def _pool_options(settings: Settings) -> PoolOptions:
    from pinnace.core.adapters.claude.options import PoolOptions

    return PoolOptions(
        spares_messages=settings.messages.spares,
        spares_agent=settings.agent.spares,
        max_processes=settings.pool.max_processes,
        max_waiting=settings.pool.max_waiting,
        max_turns=settings.pool.max_turns,
        max_age=settings.pool.max_age,
        max_memory=settings.pool.max_memory_mb,
        idle=settings.pool.idle_seconds,
        hold=settings.pool.hold_seconds,
        spawns=settings.pool.concurrent_starts,
        start_timeout=settings.pool.start_timeout,
        isolation_messages=settings.messages.isolation,
        isolation_agent=settings.agent.isolation,
    )


def open_prices(settings: Settings) -> Prices:
    """Make the list of prices.

    Raises:
        Misconfigured: the file of one's own prices cannot be read.
    """
    return PriceList(read_own(settings.prices.file) if settings.prices.file else None)


def open_alerts(settings: Settings, clock: Clock) -> Alerts:
    """Find out who is told that a budget reaches a threshold.

    Raises:
        Misconfigured: one of the address and the secret is missing, or is none.
    """
    url, secret = settings.alerts.webhook_url, settings.alerts.webhook_secret
    if url is None and secret is None:
        return NoAlerts()
    missing = "webhook_url" if url is None else "webhook_secret"
    if url is None or secret is None:
        raise Misconfigured("must be set where the other of the two is", key=f"alerts.{missing}")
    return Webhook(url.get_secret_value(), secret.get_secret_value(), clock)


def system_clock() -> Clock:
    """The machine's own time."""
    return SystemClock()


def has_keys(settings: Settings) -> bool:
    """Whether any key was made in the stores of these settings."""

    async def look() -> bool:
        stores = open_stores(settings)
        try:
            return await stores.directory.has_keys()
        finally:
            await stores.close()

    return asyncio.run(look())


async def diagnose(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Find out what works here and what is missing."""
    from pinnace.core.adapters.claude.binary import find_credential
    from pinnace.core.adapters.claude.options import CredentialKind

    credential = find_credential(environ)
    findings = [_writable(settings)]
    if credential.kind is CredentialKind.NONE:
        remedy = (
            "Set ANTHROPIC_API_KEY, or CLAUDE_CODE_USE_BEDROCK=1 with AWS credentials, "
            "or CLAUDE_CODE_OAUTH_TOKEN for your own use."
        )
        findings.append(Finding("credential", "failed", "There is no credential for the model's API.", remedy))
    else:
        where = credential.base_url if credential.relayed else "the provider's own endpoint"
        message = f"{_CREDENTIALS[credential.kind.value]} is used, for {where}."
        findings.append(Finding("credential", "ok", message, None))
    findings.append(await _cli_runs(settings, environ))
    return findings + await look_at_stores(settings)


_CREDENTIALS = {
    "api_key": "ANTHROPIC_API_KEY",
    "auth_token": "ANTHROPIC_AUTH_TOKEN",
    "oauth_token": "CLAUDE_CODE_OAUTH_TOKEN",
    "bedrock": "Amazon Bedrock (CLAUDE_CODE_USE_BEDROCK)",
    "vertex": "Google Vertex AI (CLAUDE_CODE_USE_VERTEX)",
}


def _writable(settings: Settings) -> Finding:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        remedy = "Set PINNACE_DATA_DIR to a directory that this user may write to."
        return Finding("data directory", "failed", f"It cannot be written to: {error.strerror}.", remedy)
    return Finding("data directory", "ok", f"{settings.data_dir} can be written to.", None)


async def _cli_runs(settings: Settings, environ: Mapping[str, str]) -> Finding:
    try:
        runner = wire(settings, environ).runner
    except CliUnavailable as error:
        return Finding("Claude Code CLI", "failed", error.message, "pip install 'pinnace[server]'")
    try:
        version = await runner.version()
    except CliUnavailable as error:
        return Finding("Claude Code CLI", "failed", error.message, "Run the binary by hand with --version to see why.")
    finally:
        await runner.aclose(0)
    if version != settings.cli.expected_version:
        message = f"Version {version} runs; {settings.cli.expected_version} is what this release was tested with."
        return Finding("Claude Code CLI", "warning", message, "Unset PINNACE_CLI_PATH to use the bundled one.")
    return Finding("Claude Code CLI", "ok", f"Version {version} runs.", None)
