"""Prints an answer of the messages profile as it streams. Start `pinnace serve` first; PINNACE_URL names another server."""

from __future__ import annotations

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ.get("PINNACE_URL", "http://127.0.0.1:8787") + "/api", api_key="any")
question = "In one sentence: what is a pinnace?"
with client.messages.stream(model="sonnet", max_tokens=300, messages=[{"role": "user", "content": question}]) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
