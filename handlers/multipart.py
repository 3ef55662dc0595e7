"""Knows how the bytes of a form become its parts, in whatever pieces they come; it must not know what a part is for.

A part without a filename stays bytes: clients send files so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pinnace.core.errors import InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: Headers of one part, and bytes of one of them.
_MOST_HEADERS, _LONGEST_HEADER = 16, 8192


@dataclass(frozen=True, slots=True)
class Part:
    """The beginning of a part; its bytes follow."""

    name: str
    filename: str | None
    content_type: str | None


class FormReader:
    """Reads one form; `complete` says that its end was read."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequest(
                "must be multipart/form-data with a boundary; send the file as a part named `file`", path="content-type"
            )
        self.complete = False
        self._events: list[Part | bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(
                boundary, callbacks, max_header_count=_MOST_HEADERS, max_header_size=_LONGEST_HEADER
            )
        except FormParserError as error:
            raise InvalidRequest("has a boundary that is too long", path="content-type") from error

    def feed(self, data: bytes) -> list[Part | bytes]:
        """Give the parts that begin in these bytes, each with what of it is there.

        Raises:
            InvalidRequest: it is no form.
        """
        # What follows the end means nothing.
        if data and not self.complete:
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise InvalidRequest("The body is not the multipart form that its content-type announces") from error
        events, self._events = self._events, []
        return events

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise InvalidRequest("Each part of the form needs a content-disposition with its name")
        filename, kind = options.get(b"filename"), self._headers.get(b"content-type")
        self._events.append(
            Part(
                _decoded(options[b"name"]),
                None if filename is None else _decoded(filename),
                None if kind is None else kind.decode("latin-1"),
            )
        )

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if end > start:
            self._events.append(data[start:end])

    def _on_end(self) -> None:
        self.complete = True


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("Names of parts and of files must be UTF-8") from None
