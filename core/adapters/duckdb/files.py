"""Knows the files of the log: one for each process and day, how lines get into it, and which are old; not what a line says.

`DIRECTORY/2026-11-21/<random>.jsonl`. A file belongs to one process, so nothing is locked: not against other servers that
share the directory, and not against who reads. A crash tears the last line of a file and no other. A database file of DuckDB
would shut out every other process while one has it open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

SUFFIX = ".jsonl"


class LinesLost(Exception):
    """Lines could not be written: how many, and what the system says."""

    def __init__(self, count: int, reason: str) -> None:
        super().__init__(reason)
        self.count, self.reason = count, reason


def create(path: Path) -> int:
    """Open a new file to append to, for the server's user alone."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)


class DayFile:
    """The file that this process writes to; one thread at a time."""

    def __init__(self, directory: Path, opener: Callable[[Path], int] = create) -> None:
        self._directory, self._opener = directory, opener
        self._day = ""
        self._descriptor = -1
        self._size = 0

    def append(self, day: str, lines: Sequence[bytes]) -> None:
        """Write lines, each with its end, to a day's file.

        Raises:
            LinesLost: some could not be written; what was written of them is whole.
        """
        data, done = b"".join(lines), 0
        try:
            self._turn_to(day)
            while done < len(data):
                done += os.write(self._descriptor, memoryview(data)[done:])
        except OSError as error:
            whole = data.rfind(b"\n", 0, done) + 1
            self._cut(self._size + whole)
            raise LinesLost(data.count(b"\n", whole), error.strerror or type(error).__name__) from error
        self._size += done

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _turn_to(self, day: str) -> None:
        # Somebody may have removed the file, and what is written to it then is gone.
        if self._descriptor >= 0 and day == self._day and os.fstat(self._descriptor).st_nlink:
            return
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._directory / day).mkdir(mode=0o700, exist_ok=True)
        self._descriptor = self._opener(self._directory / day / f"{secrets.token_hex(8)}{SUFFIX}")
        self._day, self._size = day, 0

    def _cut(self, size: int) -> None:
        """Take half a line off again; where that fails too, the next line begins another file."""
        if self._descriptor < 0:
            return
        try:
            os.ftruncate(self._descriptor, size)
            self._size = size
        except OSError:
            self.close()


def files_of(directory: Path, first: str, last: str) -> list[str]:
    """The files of the days from `first` to `last`, both included; another day's directory is not looked into."""
    found: list[str] = []
    for day in _days(directory):
        if first <= day.isoformat() <= last:
            with contextlib.suppress(FileNotFoundError), os.scandir(directory / day.isoformat()) as entries:
                found += [
                    entry.path
                    for entry in entries
                    if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)
                ]
    return sorted(found)


def sweep(directory: Path, today: str, days: int) -> None:
    """Remove the days before the last `days` ones; what is no file of the log stays, and the directory that it is in.

    Raises:
        OSError: something cannot be removed; the rest is.
    """
    oldest, failure = date.fromisoformat(today) - timedelta(days), None
    for day in _days(directory):
        if day >= oldest:
            break
        try:
            _remove(directory / day.isoformat())
        except FileNotFoundError:
            # Another server that shares the directory is sweeping it too.
            continue
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _remove(place: Path) -> None:
    # By its descriptor, so that nothing that takes the directory's name in the meantime is emptied in its place.
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for name in names:
            if name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)
        left = os.listdir(descriptor)
    finally:
        os.close(descriptor)
    if not left:
        place.rmdir()


def _days(directory: Path) -> list[date]:
    """The directories that are named as a day is; a symbolic link is none."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with contextlib.suppress(ValueError):
                    day = date.fromisoformat(entry.name)
                    # Python reads other forms of a date too, such as 20261121.
                    if day.isoformat() == entry.name and entry.is_dir(follow_symlinks=False):
                        found.append(day)
    except FileNotFoundError:
        return []
    return sorted(found)
