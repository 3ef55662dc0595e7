"""Knows the directives that a prompt may hold and reads them into steps; it must not know HTTP or the shape of an answer.

A directive is a line of a user's text that starts with `::`. The whole language::

    ::text WORDS             a text block, one delta a word; a JSON string where WORDS starts with a quotation mark
    ::deltas N WORDS         a text block of N deltas, each of them WORDS
    ::thinking WORDS         a thinking block with a signature
    ::tool NAME JSON         a tool_use block whose input streams in fragments; JSON may be absent
    ::block JSON             any other content block, whole in its content_block_start
    ::echo                   a text block that holds the request's body as JSON
    ::stop REASON [SEQUENCE] the stop_reason, and the stop sequence that was met
    ::usage JSON             counts that replace the estimated ones
    ::pace SECONDS           wait this long before each delta from here on
    ::delay SECONDS          wait once
    ::ping                   a ping event
    ::event JSON             an event of the stream, as written
    ::garbage TEXT           these bytes in the stream, as written
    ::header NAME VALUE      a header of the answer
    ::error STATUS [TYPE [MESSAGE]]   an HTTP error; an `error` event where the stream has begun
    ::times N                the next directive counts for the first N requests with this script alone
    ::cut                    drop the connection
    ::hang                   say nothing more, keep the connection open
    ::turn                   what follows answers the next request (the tool results that come back)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MARK = "::"


@dataclass(frozen=True, slots=True)
class Step:
    """One directive: its `name`, its `argument` as written, and `times`, the number of requests it counts for (0: all)."""

    name: str
    argument: str = ""
    times: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """The steps that answer one request; `key` is the whole script's text, for directives that count requests."""

    steps: tuple[Step, ...]
    key: str


def turn_for(messages: Sequence[Mapping[str, Any]]) -> Turn | None:
    """Return the turn that answers `messages`, or None where no user's text holds a directive.

    The script is that of the last user message that holds one; each user message after it (the results of the tools that a
    turn called) moves on by one turn, and the last turn repeats.
    """
    later = 0
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        lines = [line for text in _texts(message.get("content")) for line in text.splitlines() if line.startswith(MARK)]
        if lines:
            turns = read(lines)
            return turns[min(later, len(turns) - 1)]
        later += 1
    return None


def read(lines: Sequence[str]) -> list[Turn]:
    """Read directives into turns.

    Raises:
        ValueError: a directive is unknown, or its argument is none; the message names it.
    """
    key = "\n".join(lines)
    turns: list[list[Step]] = [[]]
    times = 0
    for line in lines:
        step = _read_step(line, times)
        times = 0
        if step.name == "turn":
            turns.append([])
        elif step.name == "times":
            times = int(step.argument)
        else:
            turns[-1].append(step)
    return [Turn(tuple(steps), f"{key}#{index}") for index, steps in enumerate(turns)]


def words(argument: str) -> list[str]:
    """Split an argument into deltas that join to the same text; a JSON string is decoded first."""
    text = json.loads(argument) if argument.startswith('"') else argument
    pieces: list[str] = []
    for piece in text.split(" "):
        pieces.append(piece if not pieces else f" {piece}")
    return pieces


def _read_step(line: str, times: int) -> Step:
    name, _, argument = line[len(MARK) :].strip().partition(" ")
    argument = argument.strip()
    if name not in _ACCEPTED:
        raise ValueError(f"unknown directive {MARK}{name}")
    wanted, accepted = _ACCEPTED[name]
    try:
        good = accepted(argument)
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{MARK}{name} takes {wanted}")
    return Step(name, argument, times)


def _is_text(argument: str) -> bool:
    return not argument.startswith('"') or isinstance(json.loads(argument), str)


def _is_object(argument: str) -> bool:
    return isinstance(json.loads(argument), dict)


def _is_typed(argument: str) -> bool:
    return _is_object(argument) and isinstance(json.loads(argument).get("type"), str)


def _is_call(argument: str) -> bool:
    name, _, arguments = argument.partition(" ")
    return bool(name) and (not arguments or _is_object(arguments))


def _is_seconds(argument: str) -> bool:
    return 0 <= float(argument) < math.inf


def _is_status(argument: str) -> bool:
    return HTTPStatus.BAD_REQUEST <= int(argument.partition(" ")[0]) < 600  # noqa: PLR2004 - the end of 5xx


def _is_header(argument: str) -> bool:
    name, _, value = argument.partition(" ")
    return re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is not None and value.isascii() and value.isprintable()


def _is_anything(argument: str) -> bool:
    del argument
    return True


_ACCEPTED: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "text": ("words or a JSON string", _is_text),
    "deltas": ("a number and words", lambda argument: int(argument.partition(" ")[0]) >= 0),
    "thinking": ("words or a JSON string", _is_text),
    "tool": ("a name and a JSON object", _is_call),
    "block": ("a JSON object with a type", _is_typed),
    "echo": ("nothing", _is_anything),
    "stop": ("a reason", bool),
    "usage": ("a JSON object", _is_object),
    "pace": ("seconds", _is_seconds),
    "delay": ("seconds", _is_seconds),
    "ping": ("nothing", _is_anything),
    "event": ("a JSON object with a type", _is_typed),
    "garbage": ("text", _is_anything),
    "header": ("a name and a value in ASCII", _is_header),
    "error": ("a status from 400 to 599", _is_status),
    "times": ("a number from 1", lambda argument: int(argument) >= 1),
    "cut": ("nothing", _is_anything),
    "hang": ("nothing", _is_anything),
    "turn": ("nothing", _is_anything),
}
#: Every directive's name.
DIRECTIVES = frozenset(_ACCEPTED)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict) and block.get("type") == "text":
                yield block.get("text", "")
