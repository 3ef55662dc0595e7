from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("client", "core", "handlers", "testing")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `source` every module of the packages, each as a case of its own."""
    if "source" in metafunc.fixturenames:
        sources = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
        metafunc.parametrize("source", sources, ids=[path.relative_to(ROOT).as_posix() for path in sources])


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """The `project` table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table
