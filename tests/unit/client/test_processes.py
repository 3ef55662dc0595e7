from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pinnace.client.processes import descendants, kill, still_alive

PARENT = "import subprocess; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); c.wait()"


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that has a child, and the child's number."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        yield parent, child
        kill(descendants(parent.pid))
        parent.kill()


def test_a_child_is_a_descendant(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = family
    assert [seen.pid for seen in descendants(parent.pid)] == [child]


def test_who_outlives_the_parent_is_seen_and_can_be_killed(family: tuple[subprocess.Popen[str], int]) -> None:
    parent, child = family
    seen = descendants(parent.pid)
    parent.kill()
    parent.wait(10)
    assert [left.pid for left in still_alive(seen)] == [child]
    kill(seen)
    while still_alive(seen):
        pass
    kill(seen)


def test_a_process_that_is_only_to_be_collected_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        (seen,) = [seen for seen in descendants(os.getpid()) if seen.pid == process.pid]
        process.kill()
        while still_alive([seen]):
            pass
        assert process.returncode is None
