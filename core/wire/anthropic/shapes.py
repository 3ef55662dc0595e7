"""Knows the bodies of both requests, and whether one has the right shape; it must not know rules between fields.

Importing this module imports pydantic and its schema builder, which is most of what a cold start spends on validation;
`requests` therefore does so when the first body comes, or when it is told to prepare.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from pinnace.core.wire.anthropic.blocks import Content, SystemPrompt
from pinnace.core.wire.anthropic.parameters import (
    Count,
    JsonFormat,
    Metadata,
    OutputConfig,
    Probability,
    Thinking,
)
from pinnace.core.wire.anthropic.rejection import rejection
from pinnace.core.wire.anthropic.tools import Tool, ToolChoice
from pinnace.core.wire.anthropic.vocabulary import CacheControl, NonEmpty, role_tag, shape


@shape
class Turn(TypedDict):
    """A message of either side."""

    role: Literal["user", "assistant", "system"]
    content: Content


@shape
class SystemTurn(TypedDict):
    """Instructions in the middle of a conversation; beta settings may come without `content`."""

    role: Literal["system"]
    content: NotRequired[Content]


Message = Annotated[Annotated[Turn, Tag("<turn>")] | Annotated[SystemTurn, Tag("<system>")], Discriminator(role_tag)]


@shape
class CountTokensParams(TypedDict):
    """The body of POST /v1/messages/count_tokens."""

    model: NonEmpty
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    system: NotRequired[SystemPrompt | None]
    tools: NotRequired[list[Tool] | None]
    tool_choice: NotRequired[ToolChoice | None]
    thinking: NotRequired[Thinking | None]
    output_config: NotRequired[OutputConfig | None]
    output_format: NotRequired[JsonFormat | None]
    cache_control: NotRequired[CacheControl | None]
    speed: NotRequired[Literal["standard", "fast"] | None]
    mcp_servers: NotRequired[list[dict[str, Any]] | None]
    context_management: NotRequired[dict[str, Any] | None]


@shape
class MessagesParams(CountTokensParams):
    """The body of POST /v1/messages."""

    max_tokens: Count
    stream: NotRequired[bool | None]
    stop_sequences: NotRequired[list[str] | None]
    temperature: NotRequired[Probability | None]
    top_p: NotRequired[Probability | None]
    top_k: NotRequired[Count | None]
    metadata: NotRequired[Metadata | None]
    service_tier: NotRequired[Literal["auto", "standard_only"] | None]
    inference_geo: NotRequired[str | None]
    compaction: NotRequired[dict[str, Any] | None]


@cache
def adapter_of(shape_of_body: type[CountTokensParams]) -> TypeAdapter[Any]:
    """Build the validator of a body, once."""
    return TypeAdapter(shape_of_body)


def judge(body: dict[str, Any], *, counting: bool) -> None:
    """Check a body's shape.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    try:
        adapter_of(CountTokensParams if counting else MessagesParams).validate_python(body)
    except ValidationError as error:
        raise rejection(error) from None
