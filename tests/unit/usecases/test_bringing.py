"""Knows that an upload into a container becomes a text that says where an agent finds the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filing import bytes_of, shelf

from pinnace.core.errors import InvalidRequest, NotFound, RequestTooLarge
from pinnace.core.usecases.bringing import path_of


def uploading(*ids: str) -> dict[str, Any]:
    content: list[Any] = [{"type": "container_upload", "file_id": file_id} for file_id in ids]
    return {"messages": [{"role": "user", "content": [*content, {"type": "text", "text": "look"}]}]}


async def test_an_agent_is_told_where_a_file_is_and_gets_it_there(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    file = await kept.upload(b"seven barrels", name="cargo list.txt")
    body = uploading(file.id, file.id)
    told, files = await kept.book.bring("p", body)
    path = path_of(file)
    assert path.startswith("uploads/")
    assert path.endswith("/cargo list.txt")
    assert told["messages"][0]["content"][0] == {"type": "text", "text": f"The file 'cargo list.txt' is at {path}"}
    assert [block["type"] for block in told["messages"][0]["content"]] == ["text"] * 3
    assert list(files) == [path]
    assert await bytes_of(files[path]()) == b"seven barrels"
    assert (await kept.book.bring("p", body))[0] == told
    assert body == uploading(file.id, file.id)


async def test_what_is_not_there_or_is_too_much_is_refused(tmp_path: Path) -> None:
    kept = shelf(tmp_path, max_brought=20)
    file = await kept.upload(b"x" * 21)
    with pytest.raises(RequestTooLarge):
        await kept.book.bring("p", uploading(file.id))
    for project_id, file_id in (("q", file.id), ("p", "file_none")):
        with pytest.raises(NotFound, match=file_id):
            await kept.book.bring(project_id, uploading(file_id))


async def test_without_an_upload_the_body_is_the_same_one(tmp_path: Path) -> None:
    body = {
        "messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}]
    }
    assert await shelf(tmp_path).book.bring("p", body) == (body, {})


async def test_where_there_is_no_directory_an_upload_is_refused(tmp_path: Path) -> None:
    kept = shelf(tmp_path)
    file = await kept.upload(b"x")
    with pytest.raises(InvalidRequest, match="agent profile") as refused:
        await kept.book.attach("p", uploading(file.id))
    assert refused.value.path == "messages.0.content.0"


async def test_a_name_of_any_length_fits_a_file_system(tmp_path: Path) -> None:
    file = await shelf(tmp_path).upload(b"x")
    for name in ("ü" * 250 + ".pdf", "港" * 255, "." + "x" * 254, "a." + "ü" * 250):
        path = path_of(replace(file, filename=name)).split("/")
        assert len(path) == 3
        assert 0 < len(path[-1].encode()) <= 200
    assert path_of(replace(file, filename="ü" * 250 + ".pdf")).endswith(".pdf")
