"""Knows the values that travel through the service; it must not know who makes them or where they go."""
