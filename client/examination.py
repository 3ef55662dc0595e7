"""Knows how `pinnace doctor` gathers findings and shows them; it must not know how anything is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pinnace.core.errors import Misconfigured
from pinnace.core.model.diagnosis import Finding
from pinnace.core.sources import load
from pinnace.core.wiring import diagnose

SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def examine(config: Path | None, environ: Mapping[str, str]) -> list[Finding]:
    """Look at the settings, and at the rest where the settings can be read."""
    try:
        settings = load(environ, config)
    except Misconfigured as error:
        remedy = f"Correct {error.key}." if error.key else "Correct pinnace.toml, .env or the PINNACE_ variables."
        return [Finding("settings", "failed", error.message, remedy)]
    return [Finding("settings", "ok", "They can be served.", None), *asyncio.run(diagnose(settings, environ))]


def render(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print them for a person, each remedy under what it remedies."""
    out = console or Console(highlight=False)
    for finding in findings:
        sign, colour = SIGNS[finding.status]
        out.print(Text.assemble((f"{sign} ", colour), (finding.name, "bold"), f": {finding.message}"))
        if finding.remedy:
            out.print(Padding(Text(finding.remedy, "dim"), (0, 0, 0, 2)))


def render_json(findings: Sequence[Finding]) -> str:
    """Write them for a program."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)
