"""Knows what may be asked of files and how they are shown, in the API's new shape and in the old one; not who may ask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.files import ID_PREFIX, StoredFile, UploadForm

#: Seconds: one hour and ninety days, as the API has it.
SHORTEST, LONGEST = 3600, 7_776_000
#: Ids that may be asked for at once.
MOST_IDS = 100
_PAGE = "page_"
_DIGITS = re.compile(r"[0-9]{1,9}")


class NewUpload(BaseModel):
    """A file that its sender will send straight to where files are kept."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    size_bytes: Annotated[int, Field(ge=0, strict=True)]
    mime_type: Annotated[str, StringConstraints(max_length=255)] | None = None
    expires_in_seconds: Annotated[int, Field(ge=SHORTEST, le=LONGEST, strict=True)] | None = None


def read_ttl(given: str | None) -> float | None:
    """Read `expires_in_seconds` of a form.

    Raises:
        InvalidRequest: it is no number of seconds that a file may be kept.
    """
    if given is None or not given.strip():
        return None
    seconds = int(given) if _DIGITS.fullmatch(given.strip()) else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise InvalidRequest(
            f"must be an integer from {SHORTEST} (one hour) to {LONGEST} (ninety days)", path="expires_in_seconds"
        )
    return float(seconds)


def read_page(given: str | None) -> str | None:
    """The id after which a page begins.

    Raises:
        InvalidRequest: it is no `next_page` of an answer.
    """
    if given is None:
        return None
    if not given.startswith(_PAGE) or not re.fullmatch(r"[0-9a-f]{1,100}", given.removeprefix(_PAGE)):
        raise InvalidRequest("must be the next_page of an answer", path="page")
    return ID_PREFIX + given.removeprefix(_PAGE)


def read_ids(given: Sequence[str]) -> list[str]:
    """The ids that are asked for, each once.

    Raises:
        InvalidRequest: they are too many.
    """
    ids = list(dict.fromkeys(given))
    if len(ids) > MOST_IDS:
        raise InvalidRequest(f"must have at most {MOST_IDS} ids, not {len(ids)}", path="ids")
    return ids


def file_view(file: StoredFile) -> dict[str, Any]:
    """A file as it is shown; moments are RFC 3339 in UTC."""
    return {
        "id": file.id,
        "type": "file",
        "filename": file.filename,
        "mime_type": file.mime_type,
        "size_bytes": file.size,
        "created_at": _moment(file.created_at),
        "expires_at": None if file.expires_at is None else _moment(file.expires_at),
        "downloadable": True,
    }


def files_page(files: Sequence[StoredFile], limit: int) -> dict[str, Any]:
    """A page of a list that was asked for one more than `limit`."""
    shown = files[:limit]
    more = len(files) > limit
    return {
        "data": [file_view(file) for file in shown],
        "next_page": f"{_PAGE}{shown[-1].id.removeprefix(ID_PREFIX)}" if more else None,
    }


def old_page(files: Sequence[StoredFile], limit: int, *, backwards: bool = False) -> dict[str, Any]:
    """The same as `files-api-2025-04-14` has it."""
    shown = files[-limit:] if backwards else files[:limit]
    return {
        "data": [file_view(file) for file in shown],
        "has_more": len(files) > limit,
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
    }


def upload_view(upload: StoredFile, form: UploadForm, until: float) -> dict[str, Any]:
    """Where and how the file is to be sent."""
    return {
        "id": upload.id,
        "type": "file_upload",
        "upload": {"url": form.url, "method": form.method, "fields": dict(form.fields)},
        "expires_at": _moment(until),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
