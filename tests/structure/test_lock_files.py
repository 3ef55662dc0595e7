from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-clients.lock")
# A path of some machine: /home/..., ./..., ../..., ~/..., C:\...
LOCAL_PATH = re.compile(r"(?:^|[\s=@\"'])(?:\.{0,2}/|~/|[A-Za-z]:\\)")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@pytest.fixture(params=LOCKS)
def lock(request: pytest.FixtureRequest, root: Path) -> str:
    text: str = (root / request.param).read_text(encoding="utf-8")
    return text


def test_a_lock_file_holds_no_address(lock: str) -> None:
    assert [line for line in lock.splitlines() if "://" in line] == []


def test_a_lock_file_holds_no_path(lock: str) -> None:
    assert [line for line in lock.splitlines() if LOCAL_PATH.search(line)] == []


def test_a_lock_file_holds_no_option_but_hashes(lock: str) -> None:
    options = [line for line in lock.splitlines() if line.lstrip().startswith("-")]
    assert [line for line in options if not line.lstrip().startswith("--hash=sha256:")] == []


def test_every_pin_has_a_hash(lock: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    assert [entry for entry in entries if PIN.match(entry) and "--hash=sha256:" not in entry] == []


def test_every_dependency_is_locked(root: Path, project: dict[str, Any]) -> None:
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "all" for line in lines]
    named = {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in [*project["dependencies"], *extras]}
    for name in LOCKS:
        locked = {pin.group(1) for pin in PIN.finditer((root / name).read_text(encoding="utf-8"))}
        assert named <= locked, f"{name} is behind pyproject.toml; make lock resolves it again"


def test_the_lock_files_agree(root: Path) -> None:
    runtime, development, clients = (dict(PIN.findall((root / name).read_text(encoding="utf-8"))) for name in LOCKS)
    assert runtime.items() <= development.items() <= clients.items()
