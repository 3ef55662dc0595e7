"""Knows which part of a file a request gets (RFC 9110)."""

from __future__ import annotations

import pytest

from pinnace.core.errors import RangeRefused
from pinnace.core.wire.ranges import Part, is_known, part_of

ETAG = '"ab"'


@pytest.mark.parametrize(
    ("asked", "start", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=0-1000", 0, 100),
        ("bytes=99-", 99, 1),
        ("bytes=-1", 99, 1),
        ("bytes=-1000", 0, 100),
        ("Bytes = 10 - 19 ", 10, 10),
    ],
)
def test_one_range_is_given(asked: str, start: int, length: int) -> None:
    assert part_of(100, asked, None, ETAG) == Part(start, length, 100)


@pytest.mark.parametrize(
    "asked", [None, "", "bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes=+1-2", "bytes=1"]
)
def test_what_is_no_single_range_is_ignored(asked: str | None) -> None:
    assert part_of(100, asked, None, ETAG) is None


@pytest.mark.parametrize(("size", "asked"), [(100, "bytes=100-"), (100, "bytes=-0"), (0, "bytes=0-"), (0, "bytes=-5")])
def test_a_range_beyond_the_end_is_refused(size: int, asked: str) -> None:
    with pytest.raises(RangeRefused):
        part_of(size, asked, None, ETAG)


def test_a_range_of_another_file_is_not_given() -> None:
    assert part_of(100, "bytes=0-9", ETAG, ETAG) == Part(0, 10, 100)
    for other in ('"cd"', f"W/{ETAG}", "Sat, 21 Nov 2026 00:00:00 GMT"):
        assert part_of(100, "bytes=0-9", other, ETAG) is None
        assert part_of(100, "bytes=900-", other, ETAG) is None


def test_a_part_says_where_it_is() -> None:
    assert Part(10, 5, 100).content_range == "bytes 10-14/100"


def test_a_client_that_has_the_file_is_known_by_its_tags() -> None:
    for given in (ETAG, f"W/{ETAG}", "*", f'"x", {ETAG}'):
        assert is_known(given, ETAG)
    for unknown in (None, "", '"x"'):
        assert not is_known(unknown, ETAG)
