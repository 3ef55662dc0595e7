"""Knows the `pinnace` command and what it shows to a person; it must not know how a call is served."""
