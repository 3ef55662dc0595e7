"""Knows the map of the package; it must not know how anything in it is done.

- `model`: frozen values that everything else passes around.
- `errors`: the one tree of failures.
- `ports`: what a use case needs from the world, each with its contract in prose.
- `wire`: shapes of the Anthropic API, sans-IO: frames in, events out.
- `usecases`: what the service does, as functions over ports.
- `settings`: one frozen value, parsed once.
- `wiring`: settings become ports; adapters are imported here, and only when they are asked for.
- `adapters`: how the world is reached; `adapters.claude` is the only place that knows the Claude Code CLI.

Arrows: `usecases -> ports -> errors, model`; `wiring -> adapters -> ports`; `wire -> errors, model`. Hosts and handlers live
outside, in `pinnace.handlers`.
"""
