"""Knows one SQLite file: its thread, its transactions, its versions; it must not know what the tables mean.

One thread of its own serves every caller, so that no event loop waits for a disk and no statement is ever run twice at once.
Other processes may use the same file: a transaction that writes takes the file's lock before it reads (`BEGIN IMMEDIATE`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pinnace.core.adapters.sqlite.migrations import MIGRATIONS
from pinnace.core.errors import StoreFailed

T = TypeVar("T")
#: Seconds to wait for another process that writes.
PATIENCE = 20.0


class Database:
    """One file, opened when it is first used; `write` and `read` run a function in a transaction of its own.

    `migrations` are the statements that make each version of its tables out of the one before.
    """

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
        self._path, self._migrations = path, migrations
        self._connection: sqlite3.Connection | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` with the file locked; what it raises undoes what it wrote.

        Raises:
            StoreFailed: the file cannot be used.
        """
        return await self._in_thread(work, "BEGIN IMMEDIATE")

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one state of the file.

        Raises:
            StoreFailed: the file cannot be used.
        """
        return await self._in_thread(work, "BEGIN")

    async def scrub(self) -> None:
        """Leave nothing of what was deleted in the file or beside it, as far as nobody else is reading."""
        await self._in_thread(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), None)

    async def aclose(self) -> None:
        """Close the file; a later call opens it again."""
        with self._starting:
            executor, self._executor = self._executor, None
        if executor is None:
            return
        await asyncio.get_running_loop().run_in_executor(executor, self._close)
        executor.shutdown(wait=True)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T], begin: str | None) -> T:
        with self._starting:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
            executor = self._executor
        # A caller that is cancelled does not cancel the transaction: it is carried to its end, or undone as a whole.
        return await asyncio.get_running_loop().run_in_executor(executor, self._transact, work, begin)

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str | None) -> T:
        try:
            connection = self._connection or self._open()
            if begin is None:
                return work(connection)
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed("The server's store cannot be used at the moment.") from error
        return result

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Before SQLite makes it: the files beside it get its mode, and hold the same words.
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            # Every later call tries again, and must not find the file held by the last one.
            connection.close()
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # What is committed survives the death of the server; NORMAL may lose the last moments when the power goes.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        # What was deleted is written over: a session that is gone must not be found in the file.
        connection.execute("PRAGMA secure_delete = ON")
        _migrate(connection, self._migrations)
        self._path.chmod(0o600)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    """Bring the tables to this release's version, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        connection.execute("ROLLBACK")
        raise StoreFailed("The store was written by a newer release of pinnace; use that one.")
    for number, statements in enumerate(migrations[version:], start=version + 1):
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number:d}")
    connection.execute("COMMIT")
