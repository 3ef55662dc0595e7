"""Knows where the CLI that goes wrong is kept."""

from pathlib import Path

PATH = Path(__file__).with_name("fake_cli.py")
