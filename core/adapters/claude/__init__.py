"""Knows the Claude Code CLI: its frames, processes and pool; it must not know HTTP servers or anyone's API keys.

`frames` is the wire, sans-IO; `process` owns one child; `spawn` decides its flags, environment and directories; `pool` keeps
children warm; `relay` stands between a child and the model's API, so that the child holds no key; `guardian` outlives a
killed server; `messages` and `agent` run one call each, in the two profiles; `runner` is the port that the service sees.
"""
