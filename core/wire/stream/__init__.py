"""Knows the frames of `WS /v1/stream`, sans-IO; it must not know how a socket is served or who answers a turn.

- `incoming`      text in, one frame out: a key, a turn, its cancelling, a ping
- `outgoing`      the events of a turn as frames, and its end: done, cancelled or failed
- `closing`       why a socket is closed
- `origins`       which pages may open one
"""
