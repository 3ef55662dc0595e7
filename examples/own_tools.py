"""Answers calls of a tool of its own until the agent is done; works with both profiles. Start `pinnace serve` first."""

from __future__ import annotations

import os

import anthropic
from anthropic.types import MessageParam, ToolParam

client = anthropic.Anthropic(base_url=os.environ.get("PINNACE_URL", "http://127.0.0.1:8787") + "/sdk", api_key="any")
WEATHER: ToolParam = {
    "name": "weather",
    "description": "The temperature in a city, in degrees Celsius.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
messages: list[MessageParam] = [{"role": "user", "content": "How cold is Oslo?"}]
while True:
    message = client.messages.create(model="sonnet", max_tokens=500, tools=[WEATHER], messages=messages)
    if message.stop_reason != "tool_use":
        break
    messages.append({"role": "assistant", "content": message.content})
    calls = [block.id for block in message.content if block.type == "tool_use"]
    messages.append(
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "-5"} for call in calls]}
    )
print("".join(block.text for block in message.content if block.type == "text"))
