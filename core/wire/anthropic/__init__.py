"""Knows Anthropic's Messages API on the wire, sans-IO; it must not know how a request arrived or who answers it.

- `requests`      bytes in, one validated request out; `body` reads the JSON, `shapes` (with `vocabulary`,
                  `blocks`, `sources`, `tools`, `parameters`, `rejection`) judges it field by field, `rules`,
                  `conversation` and `versions` judge what must hold between fields, and `views` reads it
- `sse`           events to bytes
- `assemble`      events to one message, and one message to events
- `grammar`       the order in which events may come
- `errors`        the one table from the error tree to status, type and headers
- `models`        the list of models, in both dialects
"""
