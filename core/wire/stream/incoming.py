"""Knows the frames that a client of `/v1/stream` sends; it must not know what is done about one.

A turn carries the body of POST /v1/messages, whose fields are judged where every such body is; here are its own fields alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.run import Profile
from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.anthropic.rejection import rejection

#: What a turn may write that does not say; the Messages API has no default.
MAX_TOKENS: Final = 4096
#: Fields of a turn that are not of its body. The answer is always a stream, so `stream` says nothing.
_OWN: Final = frozenset({"type", "id", "prompt", "session", "session_wait", "profile", "steps", "stream"})

LONGEST_ID: Final = 128
TurnId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
Text = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True, slots=True)
class Auth:
    """The key, from a client that can send no headers."""

    key: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A turn: `body` is the caller's own JSON, verbatim; what else is None counts as it does for any call."""

    id: str | None
    body: Mapping[str, Any]
    session: str | None = None
    session_wait: float | None = None
    profile: Profile | None = None
    steps: bool | None = None

    def body_with(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The whole body, with what its session says and it does not."""
        return {"max_tokens": MAX_TOKENS, **defaults, **self.body}


@dataclass(frozen=True, slots=True)
class Cancel:
    """The running turn is to stop, if it has this id; None means whichever it is."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether somebody is there."""


Frame = Auth | Chat | Cancel | Ping


class _Strict(BaseModel):
    # A field that is misspelt would count as absent, and `cancel` would stop another turn than was meant.
    model_config = ConfigDict(extra="forbid")
    type: str


class _Auth(_Strict):
    key: Text


class _Cancel(_Strict):
    id: TurnId | None = None


class _Chat(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: TurnId | None = None
    prompt: Text | None = None
    session: Text | None = None
    session_wait: Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)] | None = None
    profile: Literal["agent", "messages"] | None = None
    steps: Annotated[bool, Field(strict=True)] | None = None


def read(message: str | bytes) -> dict[str, Any]:
    """Read a message as one JSON object.

    Raises:
        InvalidRequest: it is none, or binary.
    """
    if isinstance(message, bytes):
        raise InvalidRequest("A frame is a text message with a JSON object, and this one is binary.")
    return parse_object(message.encode(), noun="frame")


def id_of(frame: Mapping[str, Any]) -> str | None:
    """The turn that a frame is about, as far as it says; the frame may be wrong otherwise."""
    given = frame.get("id")
    return given if isinstance(given, str) and 0 < len(given) <= LONGEST_ID else None


def understand(frame: dict[str, Any]) -> Frame:
    """Tell what a frame is.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    kind = frame.get("type")
    if kind == "chat":
        return _chat(frame)
    if kind == "cancel":
        return Cancel(_judged(_Cancel, frame).id)
    if kind == "ping":
        _judged(_Strict, frame)
        return Ping()
    if kind == "auth":
        return Auth(_judged(_Auth, frame).key)
    raise InvalidRequest("must be 'auth', 'chat', 'cancel' or 'ping'", path="type")


def _chat(frame: Mapping[str, Any]) -> Chat:
    own = _judged(_Chat, frame)
    body = {name: value for name, value in frame.items() if name not in _OWN}
    if own.prompt is not None:
        if "messages" in body:
            raise InvalidRequest("stands for messages with one text, so it cannot come beside them", path="prompt")
        body["messages"] = [{"role": "user", "content": own.prompt}]
    profile = None if own.profile is None else Profile(own.profile)
    return Chat(own.id, body, own.session, own.session_wait, profile, own.steps)


Shape = TypeVar("Shape", bound=BaseModel)


def _judged(shape: type[Shape], frame: Mapping[str, Any]) -> Shape:
    try:
        return shape.model_validate(frame)
    except ValidationError as error:
        raise rejection(error) from None
