"""Knows that `python -m pinnace.client` is the command; nothing else."""

from __future__ import annotations

from pinnace.client.command import main

if __name__ == "__main__":
    main(prog_name="pinnace")
