"""Knows that `python -m pinnace.client` is the `pinnace` command; it must not know anything else."""

from __future__ import annotations

from pinnace.client.command import main

if __name__ == "__main__":
    main(prog_name="pinnace")
