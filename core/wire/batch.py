"""Knows the simple batch: a list of prompts or requests in, one answer with totals out; it must not know how they are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.usage import KINDS, Use
from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.anthropic.rejection import rejection
from pinnace.core.wire.anthropic.requests import check_messages_body

#: Requests in one batch; for more there are message batches.
MOST = 100
#: Requests that run at once where the batch does not say.
AT_ONCE = 8
#: What an answer may have where neither the request nor the batch says.
TOKENS = 1024

Text = Annotated[str, StringConstraints(min_length=1)]


class Batch(BaseModel):
    """The body of POST /v1/batch; `model`, `max_tokens` and `system` are for the requests that have none of their own."""

    model_config = ConfigDict(extra="forbid")

    requests: Annotated[list[dict[str, Any] | Text], Field(min_length=1, max_length=MOST)]
    parallel: StrictBool | Annotated[int, Field(ge=1, le=MOST, strict=True)] = True
    project_id: Text | None = None
    model: Text = "auto"
    max_tokens: Annotated[int, Field(ge=1)] = TOKENS
    system: str | list[dict[str, Any]] | None = None

    @property
    def at_once(self) -> int:
        """How many requests run at once."""
        if isinstance(self.parallel, bool):
            return AT_ONCE if self.parallel else 1
        return self.parallel

    def body(self, index: int) -> dict[str, Any]:
        """One request as a body for the Messages API.

        Raises:
            InvalidRequest: it is none; `path` is within the request.
        """
        given = self.requests[index]
        item: dict[str, Any] = {"prompt": given} if isinstance(given, str) else dict(given)
        item.pop("custom_id", None)
        prompt = item.pop("prompt", None)
        if item.pop("stream", None):
            raise InvalidRequest("a batch answers as a whole; leave it out", path="stream")
        if prompt is not None:
            if "messages" in item:
                raise InvalidRequest("give either a prompt or messages", path="prompt")
            item["messages"] = [{"role": "user", "content": prompt}]
        defaults: dict[str, Any] = {"model": self.model, "max_tokens": self.max_tokens}
        if self.system is not None:
            defaults["system"] = self.system
        return check_messages_body(defaults | item).body

    def name(self, index: int) -> str | None:
        """A request's `custom_id`."""
        given = self.requests[index]
        found = given.get("custom_id") if isinstance(given, dict) else None
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one request: a message or an error, what was used, and with which model."""

    model: str | None
    message: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    use: Use


def read_batch(raw: bytes) -> Batch:
    """Read a batch; its requests are judged one by one when they are run, so that a bad one sinks no other.

    Raises:
        InvalidRequest: `path` names the first field of the batch itself that is wrong.
    """
    try:
        return Batch.model_validate(parse_object(raw))
    except ValidationError as error:
        raise rejection(error) from None


def batch_view(name: str, batch: Batch, items: Sequence[Item]) -> dict[str, Any]:
    """The answer: each request's result in the order of the requests, and the totals."""
    everything = sum((item.use for item in items), Use())
    failed = sum(item.error is not None for item in items)
    return {
        "id": name,
        "type": "batch",
        "results": [_item_view(index, batch.name(index), item) for index, item in enumerate(items)],
        "totals": {
            "requests": len(items),
            "succeeded": len(items) - failed,
            "errored": failed,
            **{kind: everything.tokens.get(kind, 0) for kind in KINDS},
            "total_tokens": everything.total_tokens,
            "cost_usd": everything.microusd / 1_000_000,
        },
    }


def _item_view(index: int, name: str | None, item: Item) -> dict[str, Any]:
    shown: dict[str, Any] = {"index": index, "custom_id": name, "model": item.model}
    if item.error is not None:
        shown |= {"status": "errored", "error": item.error}
    else:
        shown |= {"status": "succeeded", "text": _text(item.message or {}), "message": item.message}
    return shown | {"total_tokens": item.use.total_tokens, "cost_usd": item.use.microusd / 1_000_000}


def _text(message: Mapping[str, Any]) -> str:
    return "".join(block["text"] for block in message.get("content", ()) if block["type"] == "text")
