from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LINES = 300
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def test_a_file_opens_with_a_sentence(source: Path) -> None:
    opening = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(opening.split("\n\n")[0].split())
    assert paragraph, "it has no docstring; open it with what it knows and what it must not know"
    assert paragraph[0].isupper(), "its docstring does not open with a capital letter"
    assert ". " in paragraph or paragraph[-1] in ".:", f"its docstring opens with no sentence: {paragraph!r}"


def test_a_file_is_short(source: Path) -> None:
    lines = len(source.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, f"it has {lines} lines; {LINES} are enough for one noun"


def test_a_file_is_named_for_what_it_is(source: Path, root: Path) -> None:
    names = source.relative_to(root).with_suffix("").parts
    assert EMPTY_NAMES.isdisjoint(name.strip("_") for name in names)


def test_a_folder_of_modules_is_a_package(source: Path) -> None:
    assert (source.parent / "__init__.py").is_file(), "without one the checks of the arrows do not see the folder"


def test_a_handler_knows_neither_a_host_nor_the_wiring_nor_an_adapter(root: Path) -> None:
    handlers = [path for path in (root / "handlers").rglob("*.py") if "hosts" not in path.parts]
    if not handlers:
        pytest.skip("there is no handler yet")
    above = ("pinnace.handlers.hosts", "pinnace.core.wiring", "pinnace.core.adapters")
    imported = [(path.name, name) for path in handlers for name in _imports(path)]
    assert [(path, name) for path, name in imported if f"{name}.".startswith(tuple(f"{host}." for host in above))] == []


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
