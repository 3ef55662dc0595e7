"""Knows one WebSocket from its handshake to its close; `pinnace.handlers.stream` says at which path."""
