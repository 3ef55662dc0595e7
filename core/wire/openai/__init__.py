"""Knows OpenAI's Chat Completions on the wire, as a translation to and from Anthropic's Messages; it must not know who answers.

- `requests`      bytes in, one Anthropic body out; `parameters`, `tools`, `conversation` and `content` translate its
                  parts, each with the caller's own paths in its errors, and `fields` reads single values
- `answers`       an Anthropic message, or its events, to a completion, or its chunks; `usage` counts
- `sse`           chunks to bytes
- `errors`        the error tree in OpenAI's shape
"""
