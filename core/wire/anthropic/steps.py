"""Knows how the messages of an agent's run become one message; it must not know how the agent runs.

An agent's run is several messages of the model with results of tools between them. A caller gets one message: one
`message_start`, blocks numbered through, one `message_delta` with the whole run's usage, one `message_stop`. The agent's own
steps show by mode: `forward` as `mcp_tool_use` and `mcp_tool_result` blocks, the API's own shape for tools that ran on the
server's side; `formatted` as text; `ignore` not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pinnace.core.model.run import MessageMode, ModelEvent, Outcome, RunEvent

SERVER_NAME = "claude_code"

Event = dict[str, Any]


#: Counts that the API has in inner objects of its `usage`.
FOR_PRICES = frozenset(["cache_creation_1h_input_tokens", "web_search_requests"])


class StepFolder:
    """Folds a run into one message. `thinking` says that the caller asked for thinking blocks."""

    def __init__(self, mode: MessageMode, *, thinking: bool) -> None:
        self._mode = mode
        self._thinking = thinking or mode is MessageMode.FORWARD
        self._begun = False
        self._next = 0
        # Results of tools that ran while a caller's tool was waited for come before the model's first word.
        self._early: list[Mapping[str, Any]] = []
        self._open: dict[int, int | None] = {}
        self._steps: dict[int, tuple[Mapping[str, Any], list[str]]] = {}
        self._stop: dict[str, Any] = {"stop_reason": "end_turn", "stop_sequence": None}

    def feed(self, event: RunEvent) -> Iterator[Event]:
        """Take one event of the run and yield what the caller sees of it."""
        if isinstance(event, ModelEvent):
            yield from self._model_event(event)
        else:
            self._early += event.results
        if self._begun:
            early, self._early = self._early, []
            for result in early:
                yield from self._result(result)

    def finish(self, outcome: Outcome, stop_reason: str | None = None) -> Iterator[Event]:
        """End the message with the usage and the cost of the whole run."""
        usage: dict[str, Any] = {name: count for name, count in outcome.usage.items() if name not in FOR_PRICES}
        usage["cost_usd"] = outcome.cost_microusd / 1_000_000
        delta = self._stop | ({"stop_reason": stop_reason} if stop_reason else {})
        yield {"type": "message_delta", "delta": delta, "usage": usage}
        yield {"type": "message_stop"}

    def _model_event(self, event: ModelEvent) -> Iterator[Event]:
        data = event.data
        kind = data["type"]
        if kind == "message_start":
            if not self._begun:
                self._begun = True
                yield data
        elif kind == "message_delta":
            self._stop = dict(data["delta"])
        elif kind == "content_block_start":
            yield from self._start(data)
        elif kind in ("content_block_delta", "content_block_stop"):
            yield from self._continue(data)
        elif kind == "ping":
            yield data

    def _start(self, data: Event) -> Iterator[Event]:
        block, index = dict(data["content_block"]), data["index"]
        own = block.pop("caller_tool", False)
        if block["type"] == "tool_use" and not own:
            if self._mode is not MessageMode.FORWARD:
                self._steps[index] = (block, [])
                self._open[index] = None
                return
            block |= {"type": "mcp_tool_use", "server_name": SERVER_NAME}
        if block["type"] in ("thinking", "redacted_thinking") and not self._thinking:
            self._open[index] = None
            return
        self._open[index] = self._next
        yield {"type": "content_block_start", "index": self._next, "content_block": block}
        self._next += 1

    def _continue(self, data: Event) -> Iterator[Event]:
        index = data["index"]
        shown = self._open.get(index)
        if shown is not None:
            yield {**data, "index": shown}
        elif index in self._steps:
            block, parts = self._steps[index]
            if data["type"] == "content_block_delta":
                parts.append(data["delta"].get("partial_json", ""))
            else:
                del self._steps[index]
                if self._mode is MessageMode.FORMATTED:
                    arguments = "".join(parts) or "{}"
                    yield from self._block_of_text(f'<tool_use name="{block["name"]}">\n{arguments}\n</tool_use>\n')

    def _result(self, result: Mapping[str, Any]) -> Iterator[Event]:
        if self._mode is MessageMode.IGNORE:
            return
        texts = _texts(result.get("content"))
        failed = bool(result.get("is_error"))
        if self._mode is MessageMode.FORMATTED:
            mark = ' is_error="true"' if failed else ""
            yield from self._block_of_text(f"<tool_result{mark}>\n{''.join(texts)}\n</tool_result>\n")
            return
        content = [{"type": "text", "text": text} for text in texts]
        block = {
            "type": "mcp_tool_result",
            "tool_use_id": result["tool_use_id"],
            "is_error": failed,
            "content": content,
        }
        yield {"type": "content_block_start", "index": self._next, "content_block": block}
        yield {"type": "content_block_stop", "index": self._next}
        self._next += 1

    def _block_of_text(self, text: str) -> Iterator[Event]:
        index = self._next
        self._next += 1
        yield {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
        yield {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
        yield {"type": "content_block_stop", "index": index}


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block["text"] if block.get("type") == "text" else json.dumps(block) for block in content or []]
