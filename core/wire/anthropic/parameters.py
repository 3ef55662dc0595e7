"""Knows the settings of a request that are neither messages nor tools; it must not know what a model makes of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from pinnace.core.wire.anthropic.vocabulary import shape, type_tag

Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Display = Literal["summarized", "omitted"]


@shape
class ThinkingEnabled(TypedDict):
    """Thinking with a budget."""

    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: NotRequired[Display | None]


@shape
class ThinkingDisabled(TypedDict):
    """No thinking."""

    type: Literal["disabled"]


@shape
class ThinkingAdaptive(TypedDict):
    """Thinking as the model sees fit."""

    type: Literal["adaptive"]
    display: NotRequired[Display | None]


@shape
class ThinkingBetweenTools(TypedDict):
    """Thinking between calls of tools."""

    type: Literal["between_tools"]


Thinking = Annotated[
    Annotated[ThinkingEnabled, Tag("<enabled>")]
    | Annotated[ThinkingDisabled, Tag("<disabled>")]
    | Annotated[ThinkingAdaptive, Tag("<adaptive>")]
    | Annotated[ThinkingBetweenTools, Tag("<between_tools>")],
    Discriminator(type_tag),
]


@shape
class JsonFormat(TypedDict):
    """The schema that the answer follows."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


@shape
class OutputConfig(TypedDict):
    """How much effort goes into the answer, and its format."""

    effort: NotRequired[Literal["low", "medium", "high", "xhigh", "max"] | None]
    format: NotRequired[JsonFormat | None]


@shape
class Metadata(TypedDict):
    """Who asked, in the caller's own terms."""

    user_id: NotRequired[str | None]
