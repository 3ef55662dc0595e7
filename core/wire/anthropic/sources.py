"""Knows where an image or a document may come from; it must not fetch, decode for use or keep any of it."""

from __future__ import annotations

import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from pinnace.core.wire.anthropic.vocabulary import NonEmpty, shape, type_tag


def check_base64(data: str) -> str:
    """Refuse what is not plain base64, and say what is usually wrong with it."""
    if data.startswith("data:"):
        raise PydanticCustomError(
            "base64", "Input should be base64 alone, without the 'data:...;base64,' in front of it"
        )
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "Input should be valid base64") from None
    return data


Base64 = Annotated[NonEmpty, AfterValidator(check_base64)]


@shape
class Base64Image(TypedDict):
    """An image within the request."""

    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Base64


@shape
class Base64Pdf(TypedDict):
    """A PDF within the request."""

    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: Base64


@shape
class PlainText(TypedDict):
    """A document of plain text."""

    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


@shape
class UrlSource(TypedDict):
    """Something that Anthropic fetches."""

    type: Literal["url"]
    url: NonEmpty


@shape
class FileSource(TypedDict):
    """Something that was uploaded before."""

    type: Literal["file"]
    file_id: NonEmpty


ImageSource = Annotated[
    Annotated[Base64Image, Tag("<base64>")] | Annotated[UrlSource, Tag("<url>")] | Annotated[FileSource, Tag("<file>")],
    Discriminator(type_tag),
]
