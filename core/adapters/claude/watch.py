"""Knows how to keep the guardian informed of the children that live; it must not know what they do."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from pinnace.core.adapters.claude import guardian


class Watch:
    """The guardian's pipe. A guardian that cannot be started, or dies, costs its protection and nothing else."""

    def __init__(self) -> None:
        self._guardian: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the guardian; a second call does nothing."""
        if self._guardian is not None:
            return
        script = Path(guardian.__file__)
        self._guardian = subprocess.Popen(  # noqa: S603 - this interpreter, and a file of this package
            [sys.executable, "-I", "-S", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )

    def add(self, mark: str, pid: int, directory: Path) -> None:
        self._write(f"+{mark} {pid} {directory}\n")

    def remove(self, mark: str) -> None:
        self._write(f"-{mark}\n")

    def close(self) -> None:
        """Let the guardian end; what is still listed ends with it."""
        if self._guardian is None:
            return
        with contextlib.suppress(OSError):
            if self._guardian.stdin:
                self._guardian.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(timeout=10)
        self._guardian = None

    def _write(self, line: str) -> None:
        if self._guardian and self._guardian.stdin:
            with contextlib.suppress(OSError):
                self._guardian.stdin.write(line.encode())
                self._guardian.stdin.flush()
