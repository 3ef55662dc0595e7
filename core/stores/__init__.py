"""Knows how settings become stores; adapters are imported here, and only when they are asked for."""
