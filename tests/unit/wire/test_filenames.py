"""Knows which names files may have, and that a header carries each of them."""

from __future__ import annotations

import re
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.admin.filenames import base_name, check_name, disposition


@pytest.mark.parametrize("name", ["a", "a.txt", "tar.gz", "näme 港口.pdf", "it's 100 %.txt", ".hidden", "x" * 255])
def test_a_name_stays_as_it_is(name: str) -> None:
    assert check_name(base_name(name)) == name


@pytest.mark.parametrize(
    ("given_name", "name"),
    [("../../etc/passwd", "passwd"), ("C:\\fakepath\\a.txt", "a.txt"), ("a/b\\c", "c"), ("dir/", ""), (" a ", "a")],
)
def test_only_the_last_component_counts(given_name: str, name: str) -> None:
    assert base_name(given_name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 256, *'<>:"|?*\\/', "a\nb", "a\0", "\x7f", "\x85", "a\u202etxt.exe", ".", "..", ". ."]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^filename: "):
        check_name(name)


@given(st.text(min_size=1, max_size=50))
def test_a_header_is_ascii_on_one_line_and_says_the_name(name: str) -> None:
    name = base_name(name)
    try:
        check_name(name)
    except InvalidRequest:
        return
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["content-disposition"] = header
    assert message.get_content_disposition() == "attachment"
    exact = re.search(r"filename\*=UTF-8''(\S+)$", header)
    assert (unquote(exact[1]) if exact else message.get_filename()) == name
