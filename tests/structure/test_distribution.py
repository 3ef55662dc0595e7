from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import pinnace

PACKAGES = ("client", "core", "handlers", "testing")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names within the wheel that this tree builds."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_the_wheel_holds_one_package(wheel: list[str], project: dict[str, Any]) -> None:
    assert {name.split("/")[0] for name in wheel} == {"pinnace", f"pinnace-{project['version']}.dist-info"}


def test_the_wheel_holds_every_module(wheel: list[str], root: Path) -> None:
    modules = [path.relative_to(root) for package in PACKAGES for path in (root / package).rglob("*.py")]
    assert {f"pinnace/{path.as_posix()}" for path in modules} <= set(wheel)
    assert {"pinnace/__init__.py", "pinnace/py.typed", "pinnace/core/errors.py"} <= set(wheel)


def test_the_wheel_holds_each_file_once(wheel: list[str]) -> None:
    assert len(wheel) == len(set(wheel))


def test_the_editable_links_show_the_folders(root: Path) -> None:
    links = root / "infra" / "editable" / "pinnace"
    assert {path.name: path.resolve() for path in links.iterdir() if path.is_symlink()} == {
        package: root / package for package in PACKAGES
    }


def test_no_folder_is_imported_under_its_bare_name() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("core")


def test_the_version_is_that_of_the_distribution(project: dict[str, Any]) -> None:
    assert pinnace.__version__ == version("pinnace") == project["version"]


def test_the_changelog_has_the_version(root: Path, project: dict[str, Any]) -> None:
    headings = re.findall(r"^## \[(.+?)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert project["version"] in headings


def test_python_is_named_alike_everywhere(root: Path, project: dict[str, Any]) -> None:
    named = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+$", line)}
    matrix = re.search(r"python: \[(.+)\]", (root / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert matrix is not None
    assert set(re.findall(r"3\.\d+", matrix.group(1))) == named
    assert project["requires-python"] == ">=" + min(named, key=lambda name: int(name.split(".")[1]))
