"""Knows how files are put into an agent's directory; it must not know where they come from.

The agent may have put a link where a directory is expected, to have the server write beside it: so each step of a path is opened
by its descriptor, and none is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

from pinnace.core.errors import InvalidRequest, StoreFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


async def place(directory: Path, files: Mapping[str, Callable[[], AsyncGenerator[bytes, None]]]) -> None:
    """Write files to their paths within a directory; one that is there already stays.

    Raises:
        InvalidRequest: something else is in the way.
        StoreFailed: a file cannot be read or written.
    """
    for path, read in files.items():
        folders, name = path.split("/")[:-1], path.split("/")[-1]
        try:
            descriptor = await asyncio.to_thread(_enter, directory, folders)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be put into the agent's directory: something else is there") from error
        try:
            await _write(descriptor, name, read)
        except OSError as error:
            raise StoreFailed("A file cannot be written into the agent's directory.") from error
        finally:
            os.close(descriptor)


def _enter(directory: Path, folders: list[str]) -> int:
    """Open the last of some folders, made where they are not there."""
    descriptor = os.open(directory, _DIRECTORY)
    for folder in folders:
        above = descriptor
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=above)
            descriptor = os.open(folder, _DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


async def _write(folder: int, name: str, read: Callable[[], AsyncGenerator[bytes, None]]) -> None:
    try:
        descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
    except FileExistsError:
        # Of an earlier turn, or the agent's own by now.
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            async with contextlib.aclosing(read()) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
