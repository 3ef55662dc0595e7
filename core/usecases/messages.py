"""Knows how a message is created and how its tokens are counted; it must not know who asked over what."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pinnace.core.model.catalog import ModelInfo
from pinnace.core.model.run import MessageMode, ModelEvent, Outcome, Profile, RunRequest
from pinnace.core.ports import AgentRunner, SessionLink, TokenCounter, Toll
from pinnace.core.wire.anthropic.steps import StepFolder


@dataclass(slots=True)
class Receipt:
    """What a call used; complete once its events have ended, however they ended."""

    outcome: Outcome = field(default_factory=Outcome)


async def converse(
    runner: AgentRunner,
    request: RunRequest,
    mode: MessageMode,
    receipt: Receipt,
    toll: Toll | None = None,
    session: SessionLink | None = None,
) -> AsyncGenerator[dict[str, Any], None]:
    """Run a call and yield the events of the caller's stream, each as soon as it is there.

    `mode` is for the `agent` profile alone. `receipt` is filled in when the events end, by themselves, by an error or
    because the caller closed them.
    """
    run = runner.run(request, toll, session)
    try:
        async with run as events:
            if request.profile is Profile.MESSAGES:
                async for event in events:
                    if isinstance(event, ModelEvent):
                        yield event.data
            else:
                thinking = (request.body.get("thinking") or {}).get("type", "disabled") != "disabled"
                folder = StepFolder(mode, thinking=thinking)
                async for event in events:
                    for shown in folder.feed(event):
                        yield shown
                for shown in folder.finish(events.outcome, events.stop_reason):
                    yield shown
    finally:
        receipt.outcome = run.outcome


async def resolve_model(runner: AgentRunner, name: str) -> str:
    """Give the id behind an alias (`sonnet`); any other name is for the model's API to judge."""
    if name.startswith("claude-"):
        return name
    wanted = "default" if name == "auto" else name
    for model in await runner.models():
        if model.answers_to(wanted):
            return model.id
    return name


async def list_models(runner: AgentRunner) -> list[ModelInfo]:
    """List what the CLI offers; `auto` is one more name of its default."""
    models = await runner.models()
    return [
        ModelInfo(
            id=model.id,
            display_name=model.display_name,
            created_at=model.created_at,
            max_input_tokens=model.max_input_tokens,
            max_tokens=model.max_tokens,
            capabilities=model.capabilities,
            aliases=tuple("auto" if alias == "default" else alias for alias in model.aliases),
        )
        for model in models
    ]


async def count_tokens(
    counter: TokenCounter, body: Mapping[str, Any], model: str, betas: tuple[str, ...]
) -> tuple[int, bool]:
    """Count the tokens of a request; the second value says whether the upstream counted them."""
    return await counter.count({**body, "model": model}, betas)
