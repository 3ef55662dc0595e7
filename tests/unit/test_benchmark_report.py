"""Knows that the page of figures holds what was measured and says honestly what was reached."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
Render = Callable[[float], str]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The report's module; the benchmarks are no part of the package, so the root is on the path for this test alone."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.report")


@pytest.fixture
def rendered(module: ModuleType) -> Render:
    def render(rate: float) -> str:
        made = module.Report(
            "a machine", "2026-01-01", "a command", parked=100.0, imported=200.0, slope=1.0, requests=10
        )
        for form in ("stream", "JSON"):
            for level in module.LEVELS:
                for name in module.ROWS:
                    made.figures[form, level, name] = module.Figures(1.5, 2.5, rate)
        text: str = module.render(made)
        return text

    return render


def test_every_candidate_has_a_row_at_every_level(module: ModuleType, rendered: Render) -> None:
    text = rendered(31.0)
    for level in module.LEVELS:
        for name in module.ROWS:
            assert f"| {level} | {name} | 1.5 | 2.5 | 31.0 |" in text


def test_a_goal_that_was_missed_is_said_to_be(rendered: Render) -> None:
    assert "| requests/s at concurrency 8 | 31.0 /s | at least 30 /s | yes |" in rendered(31.0)
    assert "| requests/s at concurrency 8 | 29.0 /s | at least 30 /s | no |" in rendered(29.0)


def test_the_published_page_is_one_that_was_generated(rendered: Render) -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    generated = [line for line in rendered(31.0).splitlines() if line.startswith("#")]
    assert [line for line in page.splitlines() if line.startswith("#")] == generated
