"""Knows that files go up and come down as they were, are their project's alone, and leave nothing; with the official SDK."""

from __future__ import annotations

import base64
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx
import pytest
from served import BOUND, MODEL, Served
from tenants import Tenancy, tenancy
from uploads import lying

from pinnace.core.usecases.arrivals import GATHERED
from pinnace.testing.upstream import Upstream

BYTES = os.urandom(3_000_000)
#: One white pixel: an agent's CLI looks into images.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")
PDF = b"%PDF-1.7\n" + os.urandom(50)
OLD = "files-api-2025-04-14"


@pytest.fixture(scope="module")
def managed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenancy]:
    variables = {"PINNACE_FILES__MAX_BYTES": "4000000", "PINNACE_FILES__QUOTA_MB": "7"}
    with tenancy(tmp_path_factory.mktemp("files"), upstream, **variables) as started:
        yield started


@pytest.fixture
def key(managed: Tenancy) -> str:
    managed.served.upstream.forget()
    secret: str = managed.key(managed.project())["key"]
    return secret


def client(managed: Tenancy, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=managed.served.url, api_key=key, max_retries=0, timeout=BOUND)


def ask(managed: Tenancy, key: str, method: str, path: str = "", **more: Any) -> httpx.Response:
    more["headers"] = {"x-api-key": key} | more.get("headers", {})
    return managed.served.http.request(method, f"{managed.served.url}/v1/files{path}", **more)


def test_a_file_goes_up_is_listed_comes_down_and_is_deleted(managed: Tenancy, key: str) -> None:
    files = client(managed, key).beta.files
    made = files.upload(file=("näme.bin", BYTES, "application/x-own"), expires_in_seconds=3600)
    assert (made.filename, made.size_bytes, made.mime_type) == ("näme.bin", len(BYTES), "application/x-own")
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == 3600
    nameless = files.upload(file=b"\xff\0bytes\r\n--")
    assert (nameless.filename, nameless.size_bytes) == ("unnamed.bin", 11)
    assert [file.id for file in files.list(limit=1)] == [nameless.id, made.id]
    assert [file.id for file in files.list(ids=[made.id, "file_none"])] == [made.id]
    assert files.retrieve_metadata(made.id) == made
    assert files.download(made.id).read() == BYTES
    assert files.download(nameless.id).read() == b"\xff\0bytes\r\n--"
    for file in (made, nameless):
        assert files.delete(file.id).type == "file_deleted"
    assert files.list().data == []
    with pytest.raises(anthropic.NotFoundError):
        files.download(made.id)


def test_the_old_beta_lists_by_id_in_both_directions(managed: Tenancy, key: str) -> None:
    files = client(managed, key).beta.files
    ids = [files.upload(file=(f"{number}.txt", b"x")).id for number in range(5)][::-1]

    def page(**query: Any) -> dict[str, Any]:
        shown: dict[str, Any] = ask(managed, key, "GET", params=query, headers={"anthropic-beta": OLD}).json()
        return {name: value for name, value in shown.items() if name != "data"} | {
            "ids": [file["id"] for file in shown["data"]]
        }

    assert page(limit=2) == {"has_more": True, "first_id": ids[0], "last_id": ids[1], "ids": ids[:2]}
    assert page(limit=3, after_id=ids[1]) == {"has_more": False, "first_id": ids[2], "last_id": ids[4], "ids": ids[2:]}
    assert page(limit=2, before_id=ids[3]) == {"has_more": True, "first_id": ids[1], "last_id": ids[2], "ids": ids[1:3]}
    assert page(after_id=ids[4]) == {"has_more": False, "first_id": None, "last_id": None, "ids": []}
    for query in ({"after_id": "x"}, {"after_id": ids[0], "before_id": ids[1]}):
        assert ask(managed, key, "GET", params=query, headers={"anthropic-beta": OLD}).status_code == 400
    for new in ({"page": "x"}, {"page": "page_../x"}, {"limit": 0}, {"ids[]": ids[0], "limit": 5}):
        assert ask(managed, key, "GET", params=new).status_code == 400
    assert ask(managed, key, "GET", params={"ids[]": [str(number) for number in range(101)]}).status_code == 400


def test_a_part_of_a_file_is_given(managed: Tenancy, key: str) -> None:
    made = client(managed, key).beta.files.upload(file=("a ü.bin", BYTES))
    path = f"/{made.id}/content"
    whole = ask(managed, key, "GET", path)
    tag = whole.headers["etag"]
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, BYTES, "bytes")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"] == "attachment; filename=\"a _.bin\"; filename*=UTF-8''a%20%C3%BC.bin"
    for asked, start, end in (
        ("0-0", 0, 1),
        ("1000000-1999999", 1_000_000, 2_000_000),
        ("-5", len(BYTES) - 5, len(BYTES)),
    ):
        part = ask(managed, key, "GET", path, headers={"range": f"bytes={asked}", "if-range": tag})
        assert (part.status_code, part.content) == (206, BYTES[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"
    assert ask(managed, key, "GET", path, headers={"range": "bytes=0-0", "if-range": '"other"'}).content == BYTES
    beyond = ask(managed, key, "GET", path, headers={"range": f"bytes={len(BYTES)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(BYTES)}")
    assert beyond.json()["error"]["type"] == "invalid_request_error"
    head = ask(managed, key, "HEAD", path, headers={"range": "bytes=0-0"})
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(BYTES)), b"")
    assert ask(managed, key, "GET", path, headers={"if-none-match": tag}).status_code == 304


def test_another_project_s_file_is_like_none(managed: Tenancy, key: str) -> None:
    made = client(managed, key).beta.files.upload(file=("secret.txt", b"the treasure is under the palm"))
    other = managed.key(managed.project())["key"]
    for method, path in (("GET", ""), ("GET", "/content"), ("HEAD", "/content"), ("DELETE", "")):
        theirs, none = (
            ask(managed, other, method, f"/{file_id}{path}") for file_id in (made.id, made.id[:-4] + "0000")
        )
        assert theirs.status_code == none.status_code == 404
        assert anonymous(theirs) == anonymous(none)
    assert ask(managed, other, "GET", params={"ids[]": made.id}).json()["data"] == []
    assert ask(managed, other, "GET").json()["data"] == []
    block = {"type": "document", "source": {"type": "file", "file_id": made.id}}
    asked = managed.ask(other, "", messages=[{"role": "user", "content": [block]}])
    assert (asked.status_code, asked.json()["error"]["message"]) == (404, f"File not found: {made.id}")
    assert managed.served.upstream.bodies == []
    narrow = managed.key(managed.project(), scopes=["messages"])["key"]
    assert ask(managed, narrow, "GET").status_code == 403


def anonymous(answer: httpx.Response) -> str:
    return re.sub(r"(file|req)_\w+", "", answer.text)


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"data": {"a": "b"}}, 400, "named `file`"),
        ({"files": {"a": b"x"}}, 400, "must be named 'file'"),
        ({"files": [("file", b"x"), ("file", b"y")]}, 400, "One upload is one file"),
        ({"files": {"file": ("a|b", b"x")}}, 400, "filename: must not hold '|'"),
        ({"files": {"file": ("a" * 256, b"x")}}, 400, "1 to 255"),
        ({"files": {"file": b"x"}, "data": {"expires_in_seconds": "60"}}, 400, "expires_in_seconds: must be"),
        ({"files": {"file": b"x"}, "data": {"expires_in_seconds": "soon"}}, 400, "3600"),
        ({"files": {"file": b"x"}, "data": {"more": "x" * 9_000}}, 400, "beside its file"),
        ({"files": {"file": b"x" * 4_000_001}}, 413, "4,000,000 bytes"),
        ({"files": {"file": b"x" * 9_000_000}}, 413, "4,000,000 bytes"),
        ({"content": b"--b\r\nno form", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "form"),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf',
                "headers": {"content-type": "multipart/form-data; boundary=b"},
            },
            400,
            "ends in the middle",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_upload_is_said_and_nothing_of_it_is_kept(
    managed: Tenancy, key: str, form: dict[str, Any], status: int, words: str
) -> None:
    before = lying(managed.served.directory)
    answer = ask(managed, key, "POST", **form)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert lying(managed.served.directory) == before
    assert ask(managed, key, "GET").json() == {"data": [], "next_page": None}


def test_a_quota_holds_among_uploads_at_once_and_says_what_is_left(managed: Tenancy, key: str) -> None:
    answers: list[httpx.Response] = []

    def upload() -> None:
        answers.append(ask(managed, key, "POST", files={"file": BYTES}))

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 403, 403, 403, 403]
    left = 7 * 2**20 - 2 * len(BYTES)
    refused = ask(managed, key, "POST", files={"file": b"x" * (left + 1)})
    assert f"{left:,} of them are left, and this file needs {left + 1:,}" in refused.json()["error"]["message"]
    assert ask(managed, key, "POST", files={"file": b"x" * left}).status_code == 200
    listed = ask(managed, key, "GET").json()["data"]
    assert len(listed) == 3
    assert ask(managed, key, "DELETE", f"/{listed[0]['id']}").status_code == 200
    assert ask(managed, key, "POST", files={"file": b"x" * left}).status_code == 200


def cut(served: Served, key: str, size: int = 1_000_000) -> None:
    """Send the first half of an upload, and go."""
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname or "", place.port or 0)) as line:
        head = f"POST /v1/files HTTP/1.1\r\nhost: {place.netloc}\r\nx-api-key: {key}\r\ncontent-length: {size}\r\n"
        line.sendall(f"{head}content-type: multipart/form-data; boundary=b\r\n\r\n".encode())
        line.sendall(b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * (size // 2))
        if size > 2 * GATHERED:
            served.wait_until(lambda: lying_halves(served))


def lying_halves(served: Served) -> list[Path]:
    place = served.directory / "data" / "arriving"
    return list(place.iterdir()) if place.exists() else []


def test_an_upload_that_is_cut_leaves_nothing(managed: Tenancy, key: str) -> None:
    before = len(lying(managed.served.directory))
    for size in (1_000, 100_000, 3 * GATHERED):
        cut(managed.served, key, size)
    managed.served.wait_until(lambda: not lying_halves(managed.served))
    assert len(lying(managed.served.directory)) == before
    assert ask(managed, key, "GET").json()["data"] == []
    assert ask(managed, key, "POST", files={"file": b"x" * 4_000_000}).status_code == 200


def test_a_file_in_a_request_arrives_as_the_model_takes_it(managed: Tenancy, key: str) -> None:
    files = client(managed, key).beta.files
    image, pdf, text, other = (
        files.upload(file=(name, data)).id
        for name, data in (("a.png", PNG), ("a.pdf", PDF), ("a.txt", "Grüße".encode()), ("a.bin", BYTES[:100]))
    )

    def say(content: Any, prefix: str = "/api", path: str = "/v1/messages") -> httpx.Response:
        body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return managed.served.http.post(f"{managed.served.url}{prefix}{path}", json=body, headers=headers)

    named = [
        {"type": kind, "source": {"type": "file", "file_id": file_id}}
        for kind, file_id in (("image", image), ("document", pdf), ("document", text))
    ]
    sources = [
        {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()},
        {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(PDF).decode()},
        {"type": "text", "media_type": "text/plain", "data": "Grüße"},
    ]
    for prefix in ("/api", "/sdk"):
        answer = say([*named, {"type": "text", "text": "look\n::text aye"}], prefix)
        assert answer.status_code == 200, answer.text
        heard = [block for message in managed.served.upstream.bodies[-1]["messages"] for block in message["content"]]
        assert [block["source"] for block in heard if isinstance(block, dict) and "source" in block] == sources
    chat = say(
        [{"type": "file", "file": {"file_id": pdf}}, {"type": "text", "text": "::text aye"}],
        "/api",
        "/v1/chat/completions",
    )
    assert chat.status_code == 200, chat.text
    assert managed.served.upstream.bodies[-1]["messages"][0]["content"][0]["source"] == sources[1]
    counted = managed.served.http.post(
        f"{managed.served.url}/v1/messages/count_tokens",
        json={"model": MODEL, "messages": [{"role": "user", "content": named}]},
        headers={"x-api-key": key},
    )
    assert counted.status_code == 200, counted.text
    refused = say([{"type": "document", "source": {"type": "file", "file_id": other}}])
    assert (refused.status_code, "application/octet-stream" in refused.text) == (400, True)
