"""Knows the tables of batches and of the queue of their items, in a file of their own: a batch must not hold up a budget.

A version that was released is never edited, another one is added.
"""

from __future__ import annotations

from collections.abc import Sequence

BATCH_TABLES: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE batches (
            number INTEGER PRIMARY KEY,
            project_id TEXT NOT NULL,
            id TEXT NOT NULL,
            document TEXT NOT NULL,
            created_at REAL NOT NULL,
            expires_at REAL NOT NULL,
            total INTEGER NOT NULL,
            is_ready INTEGER NOT NULL,
            cancel_at REAL,
            ended_at REAL,
            archived_at REAL,
            succeeded INTEGER NOT NULL DEFAULT 0,
            errored INTEGER NOT NULL DEFAULT 0,
            canceled INTEGER NOT NULL DEFAULT 0,
            expired INTEGER NOT NULL DEFAULT 0,
            microusd INTEGER NOT NULL DEFAULT 0,
            results_size INTEGER NOT NULL DEFAULT 0,
            UNIQUE (project_id, id)
        )""",
        "CREATE INDEX batches_by_time ON batches (project_id, created_at, id)",
        "CREATE INDEX batches_open ON batches (created_at) WHERE ended_at IS NULL",
        "CREATE INDEX batches_kept ON batches (created_at) WHERE ended_at IS NOT NULL AND archived_at IS NULL",
        """CREATE TABLE items (
            batch INTEGER NOT NULL REFERENCES batches (number) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            holder TEXT,
            held_until REAL NOT NULL,
            tries INTEGER NOT NULL,
            verdict TEXT,
            document BLOB,
            microusd INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (batch, number)
        )""",
        """CREATE TABLE tasks (
            number INTEGER PRIMARY KEY,
            place INTEGER NOT NULL,
            project_id TEXT NOT NULL,
            batch_id TEXT NOT NULL,
            custom_id TEXT NOT NULL,
            begin INTEGER NOT NULL,
            length INTEGER NOT NULL,
            available_at REAL NOT NULL,
            receipt TEXT
        )""",
        # A small batch does not wait for all of a large one before it: first come the first items of all of them.
        "CREATE INDEX tasks_in_order ON tasks (place, number)",
        "CREATE INDEX tasks_of_batch ON tasks (batch_id)",
        """CREATE TABLE buried (
            number INTEGER PRIMARY KEY,
            project_id TEXT NOT NULL,
            batch_id TEXT NOT NULL,
            place INTEGER NOT NULL,
            custom_id TEXT NOT NULL,
            begin INTEGER NOT NULL,
            length INTEGER NOT NULL
        )""",
    ),
)
