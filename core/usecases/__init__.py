"""Knows what the service does, one verb a function, over ports; it must not know an adapter, HTTP or a host."""
