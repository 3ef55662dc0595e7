#!/usr/bin/env python3
"""Plays a CLI that goes wrong, since the real one cannot be made to; it knows just enough frames to be taken for it.

`misbehaviour` in the directory of this file says how: `garbage`, `flood`, `die`, `hang` or `mute`, each in the middle of a
call; the first process that finds the file removes it, and those after it answer properly.
"""

import json
import sys
import time
from pathlib import Path

MESSAGE: dict[str, object] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}


def out(frame: object) -> None:
    sys.stdout.write(json.dumps(frame) + "\n")
    sys.stdout.flush()


def event(data: object) -> None:
    out({"type": "stream_event", "event": data, "parent_tool_use_id": None})


def delta(text: str) -> None:
    event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def misbehave(how: str) -> None:
    if how == "garbage":
        sys.stdout.write("Segmentation fault (core dumped)\n")
        sys.stdout.flush()
    elif how == "flood":
        sys.stdout.write("x" * (80 * 1024 * 1024))
        sys.stdout.flush()
    elif how == "die":
        sys.exit(139)
    time.sleep(3600)


def taken() -> str:
    """How to go wrong, if that is not somebody else's already."""
    file = Path(__file__).with_name("misbehaviour")
    try:
        how = file.read_text()
        file.unlink()
    except OSError:
        return ""
    return how


def answer(how: str) -> None:
    if how == "mute":
        misbehave("hang")
    event({"type": "message_start", "message": MESSAGE})
    event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    delta("half")
    if how:
        misbehave(how)
    event({"type": "content_block_stop", "index": 0})
    event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 2},
        }
    )
    event({"type": "message_stop"})
    out({"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 0.0, "modelUsage": {}})


def main() -> None:
    rehearsing = True
    for line in sys.stdin:
        frame = json.loads(line)
        if frame["type"] == "user":
            # A spare that starts meanwhile must not take what is meant for the call.
            answer("" if rehearsing else taken())
        elif frame["type"] == "control_request":
            settings = frame["request"].get("settings") or {}
            rehearsing = settings.get("model", "default") == "default"
            response = {"rewound": True, "claude_code_version": "0.0.0", "models": []}
            body = {"subtype": "success", "request_id": frame["request_id"], "response": response}
            out({"type": "control_response", "response": body})


main()
