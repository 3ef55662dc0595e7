"""Knows that every setting stands in docs/configuration.md as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pinnace.core.settings import Settings

TABLE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def settings(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, (*path, name))
        else:
            yield (*path, name), field


def shown(value: Any) -> str:
    if value is None:
        return "none"
    return (
        f"`{value}`"
        if isinstance(value, str)
        else f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"
    )


@pytest.mark.parametrize(
    ("path", "field"), list(settings(Settings)), ids=lambda value: ".".join(value) if isinstance(value, tuple) else ""
)
def test_a_setting_is_documented_with_its_variable_default_and_meaning(path: tuple[str, ...], field: FieldInfo) -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith(f"| `{'.'.join(path)}` |")]
    assert len(rows) == 1
    assert f"`PINNACE_{'__'.join(path).upper()}`" in rows[0]
    assert field.description
    assert field.description in rows[0]
    if field.default_factory is None:
        assert f"| {shown(field.default)} |" in rows[0]


def test_nothing_is_documented_that_is_no_setting() -> None:
    known = {".".join(path) for path, _ in settings(Settings)}
    documented = {line.split("`")[1] for line in TABLE.splitlines() if line.startswith("| `")}
    assert documented == known
