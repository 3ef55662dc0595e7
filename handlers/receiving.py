"""Knows how the form of an upload becomes a file that was received: which parts it may have; it must not know who keeps it."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from pinnace.core.errors import InvalidRequest
from pinnace.core.usecases.arrivals import Arrival
from pinnace.core.wire.admin.file_bodies import read_ttl
from pinnace.core.wire.admin.filenames import base_name, check_name
from pinnace.handlers.multipart import FormReader, Part

#: The name of the part that is the file, and of the one that says how long it stays.
FILE, STAYS = "file", "expires_in_seconds"
#: Parts of a form, and bytes of all but the file; the delimiters between them are less than the rest of `AROUND`.
_MOST_PARTS, _LONGEST_FIELDS = 32, 8192
#: Bytes of a request beside the file itself.
AROUND = 65_536


class Upload:
    """One form, as it is read."""

    def __init__(self, arrival: Arrival) -> None:
        self.filename: str | None = None
        self.content_type: str | None = None
        self._arrival = arrival
        self._part: Part | None = None
        self._has_file = False
        self._parts = self._fields = 0
        self._stays: bytes | None = None

    @property
    def ttl(self) -> float | None:
        """The seconds that the file stays, where the form says so.

        Raises:
            InvalidRequest: it is no such number.
        """
        return None if self._stays is None else read_ttl(self._stays.decode("latin-1"))

    async def read(self, request: Request) -> None:
        """Read all of it.

        Raises:
            InvalidRequest: it has not one file, or its end is missing.
            RequestTooLarge: the file is too large.
        """
        reader = FormReader(request.headers.get("content-type", ""))
        try:
            async for data in request.stream():
                for event in reader.feed(data):
                    await self._take(event)
        except ClientDisconnect:
            raise InvalidRequest("The upload was cut off, and nothing of it was kept") from None
        if not reader.complete:
            raise InvalidRequest("The form ends in the middle, and nothing of it was kept; send it again")
        if not self._has_file:
            raise InvalidRequest(f"Field required: send the file as a part of the form named {FILE!r}", path=FILE)

    async def _take(self, event: Part | bytes) -> None:
        if isinstance(event, Part):
            self._begin(event)
        elif self._part is not None and self._part.name == FILE:
            await self._arrival.write(event)
        else:
            self._fields += len(event)
            if self._fields > _LONGEST_FIELDS:
                raise InvalidRequest(f"The form has more than {_LONGEST_FIELDS} bytes beside its file")
            if self._part is not None and self._part.name == STAYS:
                self._stays = (self._stays or b"") + event

    def _begin(self, part: Part) -> None:
        self._finish_field()
        self._part = part
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(f"The form has more than {_MOST_PARTS} parts")
        if part.name == FILE:
            if self._has_file:
                raise InvalidRequest("One upload is one file: send each in a request of its own", path=FILE)
            self._has_file = True
            name = base_name(part.filename or "")
            self.filename = check_name(name) if name else None
            self.content_type = part.content_type
        elif part.filename is not None:
            raise InvalidRequest(f"is a file; the part of the file must be named {FILE!r}", path=part.name[:64])

    def _finish_field(self) -> None:
        # What is wrong is said before the file is received, where it comes first.
        if self._part is not None and self._part.name == STAYS:
            _ = self.ttl
