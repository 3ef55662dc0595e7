"""Knows that a file that a request names arrives as the model's API takes it, and that the wrong ones are named."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from filing import Shelf, shelf

from pinnace.core.errors import InvalidRequest, NotFound, RequestTooLarge

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PDF = b"%PDF-1.7\n%\xe2\xe3"
TEXT = "\ufeffGrüße\n"


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def named(file_id: str, kind: str = "document", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "file", "file_id": file_id}, **fields}


def asking(*content: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(content)}]}


async def test_each_type_becomes_its_own_source_wherever_it_stands(kept: Shelf) -> None:
    png, pdf, text = [(await kept.upload(data)).id for data in (PNG, PDF, TEXT.encode())]
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [named(png, "image"), {"type": "text", "text": "x"}],
    }
    within = {"type": "document", "source": {"type": "content", "content": [named(png, "image")]}}
    body = asking({"type": "text", "text": "hi"}, named(pdf, title="T"), named(text, context="C"), result, within)
    body["messages"].append({"role": "assistant", "content": "aye"})
    given = repr(body)
    filled = await kept.book.attach("p", body)
    image = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
    assert filled["messages"][0]["content"] == [
        {"type": "text", "text": "hi"},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(PDF).decode()},
            "title": "T",
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Grüße\n"},
            "context": "C",
        },
        {**result, "content": [{"type": "image", "source": image}, {"type": "text", "text": "x"}]},
        {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": image}]}},
    ]
    assert filled["messages"][1:] == body["messages"][1:]
    assert repr(body) == given


async def test_a_request_that_names_no_file_is_the_same_one(kept: Shelf) -> None:
    for body in (
        asking({"type": "text", "text": "hi"}, {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        {"messages": [{"role": "user", "content": "hi"}]},
        {},
    ):
        assert await kept.book.attach("p", body) is body


async def test_an_unknown_file_and_another_project_s_are_not_found_alike(kept: Shelf) -> None:
    theirs = await kept.upload(PDF, project_id="q")
    for file_id in (theirs.id, "file_unknown", theirs.id[:-1] + "x"):
        with pytest.raises(NotFound) as refused:
            await kept.book.attach("p", asking(named(file_id)))
        assert str(refused.value) == f"File not found: {file_id}"


async def test_a_file_of_the_wrong_type_is_named(kept: Shelf) -> None:
    png, other = (await kept.upload(PNG)).id, (await kept.upload(bytes(range(100, 200)))).id
    for block, words in (
        (named(png), "image/png, which goes into a block of the type 'image'"),
        (named(other), "application/octet-stream"),
        (named((await kept.upload(PDF)).id, "image"), "application/pdf"),
    ):
        with pytest.raises(InvalidRequest, match=words) as refused:
            await kept.book.attach("p", asking({"type": "text", "text": "x"}, block))
        assert refused.value.path == "messages.0.content.1.source.file_id"


async def test_files_that_are_too_much_for_one_request_are_refused_before_they_are_read(tmp_path: Path) -> None:
    kept = shelf(tmp_path, max_attached=20_000)
    file = await kept.upload(PDF + b"\0" * 8_000)
    await kept.book.attach("p", asking(named(file.id)))
    with pytest.raises(RequestTooLarge):
        await kept.book.attach("p", asking(named(file.id), named(file.id)))
