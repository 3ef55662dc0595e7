"""Knows a message batch as Anthropic's clients write and read it, sans-IO; it must not know how one is run.

A batch may have 256 MB, so it is read in pieces. What it asks for is judged when it is run, so that a bad request is an error of
its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import ijson
import orjson

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.batches import Batch, Verdict

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: What an object of ours may be named in the requests of a batch.
_FIELDS = frozenset({"custom_id", "params"})


NO_REQUEST = "must be an object with custom_id and params"
NO_NAME = "must be 1 to 64 letters, digits, - and _"


class RequestReader:
    """Reads the body of `POST /v1/messages/batches` in pieces; a request is given as its `custom_id` and a line of JSON."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: Any = ijson.sendable_list()
        self._parser: Any = ijson.items_coro(self._items, "requests.item", use_float=True)
        self._names: dict[str, int] = {}

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        """Take the next bytes, and give the requests that they complete.

        Raises:
            InvalidRequest: it is no JSON, there are too many, or a request has no good name of its own.
        """
        # No bytes would mean the end.
        if not piece:
            return []
        try:
            self._parser.send(piece)
        except ijson.JSONError as error:
            raise InvalidRequest(f"The body is not valid JSON: {_plain(error)}") from None
        return self._taken()

    def close(self) -> list[tuple[str, bytes]]:
        """The body has ended.

        Raises:
            InvalidRequest: it is cut off, or it has no requests.
        """
        try:
            self._parser.close()
        except ijson.JSONError as error:
            raise InvalidRequest(f"The body is not valid JSON: {_plain(error)}") from None
        last = self._taken()
        if not self._names:
            raise InvalidRequest(f"must be a list of 1 to {self._most:,} requests", path="requests")
        return last

    def _taken(self) -> list[tuple[str, bytes]]:
        found, self._items[:] = list(self._items), []
        return [self._read(item) for item in found]

    def _read(self, item: Any) -> tuple[str, bytes]:
        number = len(self._names)
        path = f"requests.{number}"
        if number >= self._most:
            raise InvalidRequest(f"has more than {self._most:,} requests; make several batches", path="requests")
        if not isinstance(item, dict):
            raise InvalidRequest(NO_REQUEST, path=path)
        name = item.get("custom_id")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidRequest(NO_NAME, path=f"{path}.custom_id")
        if name in self._names:
            first = self._names[name]
            raise InvalidRequest(f"is the name of requests.{first} too; each needs its own", path=f"{path}.custom_id")
        self._names[name] = number
        return name, line_of(name, item)


def problem_of(line: bytes, names: dict[str, int], number: int) -> str | None:
    """What keeps a line of a file from being a request; `names` are those of the lines before, to which its own is added."""
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return f"is not valid JSON: {error.msg} (column {error.colno})"
    if not isinstance(item, dict):
        return NO_REQUEST
    name = item.get("custom_id")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"custom_id: {NO_NAME}"
    first = names.setdefault(name, number)
    return None if first == number else f"custom_id: is the name of line {first} too; each needs its own"


def line_of(name: str, item: Mapping[str, Any]) -> bytes:
    """A request as it is kept; what cannot be kept becomes `problem`, which its result will say."""
    others = sorted(item.keys() - _FIELDS)
    if others:
        return orjson.dumps({"custom_id": name, "problem": f"{others[0]}: a request has custom_id and params alone"})
    if not isinstance(item.get("params"), dict):
        return orjson.dumps({"custom_id": name, "problem": "params: must be an object, the body of a message"})
    try:
        return orjson.dumps({"custom_id": name, "params": item["params"]})
    except TypeError:
        # orjson writes 254 levels, and no integer beyond 64 bits.
        return orjson.dumps({"custom_id": name, "problem": "params: is nested too deeply, or has too large a number"})


def name_in(line: bytes) -> str:
    """The `custom_id` of a line of `line_of`, which begins with it."""
    return line.split(b'"', 4)[3].decode()


def params_of(line: bytes) -> dict[str, Any]:
    """The params of a request that was kept.

    Raises:
        InvalidRequest: it has none that can be run.
    """
    kept: dict[str, Any] = orjson.loads(line)
    if "problem" in kept:
        raise InvalidRequest(kept["problem"])
    params: dict[str, Any] = kept["params"]
    if params.pop("stream", False):
        raise InvalidRequest("a batch answers as a whole; leave it out", path="params.stream")
    return params


def result_line(name: str, verdict: Verdict, content: Mapping[str, Any] | None = None) -> bytes:
    """A line of results: `content` is the message of one that succeeded, or the envelope of the error of one that did not."""
    result: dict[str, Any] = {"type": verdict.value}
    if verdict is Verdict.SUCCEEDED:
        result["message"] = content
    elif verdict is Verdict.ERRORED:
        result["error"] = content
    return orjson.dumps({"custom_id": name, "result": result})


def batch_view(batch: Batch, base: str) -> dict[str, Any]:
    """A batch as it is shown; `base` is where the client sees the server, its prefix included.

    `progress` and `cost_usd` are ours: the API's own counts stay in `processing` until the batch has ended.
    """
    counts, has_ended = batch.counts, batch.ended_at is not None
    status = "ended" if has_ended else "in_progress" if batch.cancel_at is None else "canceling"
    shown = {"processing": 0 if has_ended else batch.total}
    for verdict in Verdict:
        shown[verdict.value] = getattr(counts, verdict.value) if has_ended else 0
    has_results = has_ended and batch.archived_at is None
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": shown,
        "created_at": _moment(batch.created_at),
        "expires_at": _moment(batch.expires_at),
        "ended_at": _moment(batch.ended_at),
        "cancel_initiated_at": _moment(batch.cancel_at),
        "archived_at": _moment(batch.archived_at),
        "results_url": f"{base}/v1/messages/batches/{batch.id}/results" if has_results else None,
        "progress": {"done": counts.done, "succeeded": counts.succeeded, "errored": counts.errored},
        "cost_usd": f"{batch.microusd // 1_000_000}.{batch.microusd % 1_000_000:06}",
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(error: Exception) -> str:
    """The parser's reason without its picture of the place."""
    words = error.args[0] if error.args else "it ends too early"
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return text.splitlines()[0].strip() or "it ends too early"
