"""Knows that a file is what its bytes say, and what its sender says only where they say nothing."""

from __future__ import annotations

import io
import zipfile

import pytest

from pinnace.core.usecases.media_types import essence, extension, media_type

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "
BINARY = bytes(range(100, 200))


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a", "a")
    return held.getvalue()


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("head", "given", "filename", "kind"),
    [
        (PNG, None, None, "image/png"),
        (PNG, "text/plain", "a.txt", "image/png"),
        (b"\xff\xd8\xff\xdb\0\x43", "application/octet-stream", None, "image/jpeg"),
        (b"GIF89a\1\0\1\0", None, None, "image/gif"),
        (WEBP, "image/jpeg", None, "image/webp"),
        (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj", None, None, "application/pdf"),
        (b"%PDF-1.4 all of it ASCII", "text/plain", None, "application/pdf"),
        (zipped(), None, None, "application/zip"),
        (zipped(), DOCX, None, DOCX),
        (zipped(), None, "report.docx", DOCX),
        (b"plain words", None, None, "text/plain"),
        (b"plain words", "application/octet-stream", "a", "text/plain"),
        (b"a,b\n1,2\n", "text/csv; charset=utf-8", None, "text/csv"),
        (b"a,b\n1,2\n", None, "a.csv", "text/csv"),
        (b'{"a": 1}', "application/json", None, "application/json"),
        (b"<svg/>", "image/svg+xml", None, "image/svg+xml"),
        (b"no image", "image/png", "a.png", "text/plain"),
        (b"no pdf", "application/pdf", None, "text/plain"),
        (b"ID3 is how some songs begin", None, None, "text/plain"),
        ("Grüße".encode()[:3], None, None, "text/plain"),
        (b"", None, None, "text/plain"),
        (BINARY, None, None, "application/octet-stream"),
        (BINARY, "video/x-own", None, "video/x-own"),
        (BINARY, "text/plain", "a.txt", "application/octet-stream"),
        (BINARY, "application/pdf", None, "application/octet-stream"),
        (BINARY, "not a type", None, "application/octet-stream"),
        (b"Gr\xfc\xdfe in Latin-1", "text/plain", None, "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_bytes_say(head: bytes, given: str | None, filename: str | None, kind: str) -> None:
    assert media_type(head, given, filename) == kind


def test_a_type_that_is_none_is_not_taken() -> None:
    assert essence("Text/HTML; charset=x") == "text/html"
    for given in (None, "", "text", "a/b\r\nset-cookie: x", "application/octet-stream", "text/é", "a/" + "b" * 200):
        assert essence(given) is None


def test_a_nameless_file_gets_the_ending_of_its_type() -> None:
    assert [extension(kind) for kind in ("image/png", "application/pdf", "x/unknown")] == [".png", ".pdf", ""]
