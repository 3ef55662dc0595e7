"""Knows the content blocks that a request may hold; it must not know how blocks of several messages belong together."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Discriminator, Tag
from typing_extensions import TypedDict

from pinnace.core.wire.anthropic.sources import Base64Pdf, FileSource, ImageSource, PlainText, UrlSource
from pinnace.core.wire.anthropic.vocabulary import (
    OPAQUE,
    CacheControl,
    Citations,
    NonEmpty,
    block_tag,
    shape,
    string_or_list,
    type_tag,
)


@shape
class TextBlock(TypedDict):
    """Text; `citations` are those that an answer carried."""

    type: Literal["text"]
    text: NonEmpty
    citations: NotRequired[list[dict[str, Any]] | Citations | None]
    cache_control: NotRequired[CacheControl | None]


@shape
class ImageBlock(TypedDict):
    """An image."""

    type: Literal["image"]
    source: ImageSource
    cache_control: NotRequired[CacheControl | None]


SourceBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")] | Annotated[ImageBlock, Tag("<image>")], Discriminator(type_tag)
]


@shape
class ContentSource(TypedDict):
    """A document made of blocks."""

    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[SourceBlock], Tag("<list>")], Discriminator(string_or_list)
    ]


DocumentSource = Annotated[
    Annotated[Base64Pdf, Tag("<base64>")]
    | Annotated[PlainText, Tag("<text>")]
    | Annotated[ContentSource, Tag("<content>")]
    | Annotated[UrlSource, Tag("<url>")]
    | Annotated[FileSource, Tag("<file>")],
    Discriminator(type_tag),
]


@shape
class DocumentBlock(TypedDict):
    """A document, which may be cited."""

    type: Literal["document"]
    source: DocumentSource
    title: NotRequired[str | None]
    context: NotRequired[str | None]
    citations: NotRequired[Citations | None]
    cache_control: NotRequired[CacheControl | None]


@shape
class SearchResultBlock(TypedDict):
    """A result of the caller's own search."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]
    citations: NotRequired[Citations | None]
    cache_control: NotRequired[CacheControl | None]


@shape
class ThinkingBlock(TypedDict):
    """The model's thinking, as an answer carried it."""

    type: Literal["thinking"]
    thinking: str
    signature: str


@shape
class RedactedThinkingBlock(TypedDict):
    """Thinking that only Anthropic can read."""

    type: Literal["redacted_thinking"]
    data: str


@shape
class ToolUseBlock(TypedDict):
    """A call of one of the caller's tools; other vendors' ids (`call_1`) are as good as any."""

    type: Literal["tool_use"]
    id: NonEmpty
    name: NonEmpty
    input: dict[str, Any]
    cache_control: NotRequired[CacheControl | None]


@shape
class OpaqueBlock(TypedDict):
    """A block that is passed on unread."""

    type: str


@shape
class ToolReferenceBlock(TypedDict):
    """The name of a tool, within a tool's result."""

    type: Literal["tool_reference"]
    tool_name: NonEmpty


@shape
class BrowserStateBlock(TypedDict):
    """The caller's browser, within a tool's result."""

    type: Literal["browser_state"]
    tabs: list[dict[str, Any]]


ResultBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[ToolReferenceBlock, Tag("<tool_reference>")]
    | Annotated[BrowserStateBlock, Tag("<browser_state>")]
    | Annotated[OpaqueBlock, Tag(OPAQUE)],
    Discriminator(block_tag),
]
ResultContent = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[ResultBlock], Tag("<list>")], Discriminator(string_or_list)
]


@shape
class ToolResultBlock(TypedDict):
    """What a call of a tool gave."""

    type: Literal["tool_result"]
    tool_use_id: NonEmpty
    content: NotRequired[ResultContent | None]
    is_error: NotRequired[bool | None]
    cache_control: NotRequired[CacheControl | None]


Block = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")]
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[RedactedThinkingBlock, Tag("<redacted_thinking>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")]
    | Annotated[ToolResultBlock, Tag("<tool_result>")]
    | Annotated[OpaqueBlock, Tag(OPAQUE)],
    Discriminator(block_tag),
]
Content = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[Block], Tag("<list>")], Discriminator(string_or_list)
]
SystemPrompt = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[TextBlock], Tag("<list>")], Discriminator(string_or_list)
]
