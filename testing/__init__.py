"""Knows how to play the Anthropic Messages API by a script, for tests and demos; it must not know pinnace's server.

`script` reads the directives of a prompt, `answer` turns them into the events of one answer, `upstream` serves them over
HTTP and records what it was asked. `pinnace upstream` runs it from a shell; `Upstream` runs it inside a test.
"""
