"""Knows that a form is read the same in whatever pieces it comes, and that what is no form is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.handlers.multipart import FormReader, Part

TYPE = "multipart/form-data; boundary=frontier"
DATA = b"\r\n--frontie\r\n--\xff\0\r\n"
FORM = (
    b'--frontier\r\nContent-Disposition: form-data; name="expires_in_seconds"\r\n\r\n3600\r\n'
    b'--frontier\r\ncontent-disposition: form-data; name="file"\r\nContent-Type: application/octet-stream\r\n\r\n'
    + DATA
    + b'\r\n--frontier\r\nContent-Disposition: form-data; name="empty"; filename="n\xc3\xa4me.txt"\r\n\r\n\r\n--frontier--\r\n'
)
PARTS = [
    (Part("expires_in_seconds", None, None), b"3600"),
    (Part("file", None, "application/octet-stream"), DATA),
    (Part("empty", "näme.txt", None), b""),
]


def parts_of(pieces: list[bytes]) -> tuple[list[tuple[Part, bytes]], bool]:
    reader, found = FormReader(TYPE), list[tuple[Part, bytes]]()
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, Part):
                found.append((event, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    return found, reader.complete


@given(st.lists(st.integers(0, len(FORM)), max_size=20))
def test_a_form_is_read_in_any_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FORM)]
    assert parts_of([FORM[a:b] for a, b in itertools.pairwise(edges)]) == (PARTS, True)
    assert parts_of([bytes([byte]) for byte in FORM]) == (PARTS, True)


@given(st.integers(0, len(FORM) - len("--\r\n") - 1))
def test_a_form_that_ends_in_the_middle_is_not_complete(end: int) -> None:
    assert not parts_of([FORM[:end]])[1]


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=a", f"{TYPE}{'x' * 999}"]
)
def test_what_is_no_form_is_refused_by_its_type(content_type: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^content-type: "):
        FormReader(content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"no form at all",
        b"--other\r\n",
        b"--frontier\r\nContent-Type: text/plain\r\n\r\nx",
        b'--frontier\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx',
        b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx',
        b"--frontier\r\nbad header\r\n\r\nx",
        b"--frontier\r\n" + b"X-A: 1\r\n" * 17 + b"\r\n",
        b"--frontier\r\nX-A: " + b"a" * 9_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_form_is_refused_by_its_bytes(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parts_of([body])
