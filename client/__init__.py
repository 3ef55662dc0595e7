"""Knows what a user runs and imports: the command and, later, the client library; it must not know how a call is served."""
