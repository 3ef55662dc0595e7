"""Prints an agent's answer with its steps. Start `pinnace serve` with a workspace first (`PINNACE_AGENT__WORKSPACE`)."""

from __future__ import annotations

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ.get("PINNACE_URL", "http://127.0.0.1:8787") + "/sdk", api_key="any")
message = client.beta.messages.create(
    model="sonnet",
    max_tokens=1000,
    messages=[{"role": "user", "content": "Which files are here, and what is in them?"}],
    extra_headers={"x-sdk-message-mode": "forward"},
)
for block in message.content:
    if block.type == "text":
        print(block.text)
    elif block.type == "mcp_tool_use":
        print(f"-> {block.name} {block.input}")
    elif block.type == "mcp_tool_result":
        print(f"<- {'failed' if block.is_error else 'done'}")
print(f"It took {message.usage.output_tokens} tokens of output.")
