"""Knows how tools are declared and chosen; it must not know what any tool does."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from pinnace.core.wire.anthropic.vocabulary import SERVER_TOOL, CacheControl, NonEmpty, shape, tool_tag, type_tag

ToolName = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,128}$")]


@shape
class InputSchema(TypedDict):
    """The JSON schema of a tool's input; `$schema` and every other keyword pass."""

    type: Literal["object"]
    properties: NotRequired[dict[str, Any] | None]
    required: NotRequired[list[str] | None]


@shape
class CustomTool(TypedDict):
    """A tool that the caller runs."""

    name: ToolName
    input_schema: InputSchema
    type: NotRequired[Literal["custom"] | None]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]
    cache_control: NotRequired[CacheControl | None]


@shape
class ServerTool(TypedDict):
    """A tool of Anthropic's, known by its dated type; a toolset has no name."""

    type: str
    name: NotRequired[str | None]
    cache_control: NotRequired[CacheControl | None]


Tool = Annotated[
    Annotated[CustomTool, Tag("<custom>")] | Annotated[ServerTool, Tag(SERVER_TOOL)], Discriminator(tool_tag)
]


@shape
class ChooseAuto(TypedDict):
    """The model decides."""

    type: Literal["auto"]
    disable_parallel_tool_use: NotRequired[bool | None]


@shape
class ChooseAny(TypedDict):
    """Some tool must be called."""

    type: Literal["any"]
    disable_parallel_tool_use: NotRequired[bool | None]


@shape
class ChooseTool(TypedDict):
    """This tool must be called."""

    type: Literal["tool"]
    name: NonEmpty
    disable_parallel_tool_use: NotRequired[bool | None]


@shape
class ChooseNone(TypedDict):
    """No tool may be called."""

    type: Literal["none"]


ToolChoice = Annotated[
    Annotated[ChooseAuto, Tag("<auto>")]
    | Annotated[ChooseAny, Tag("<any>")]
    | Annotated[ChooseTool, Tag("<tool>")]
    | Annotated[ChooseNone, Tag("<none>")],
    Discriminator(type_tag),
]
