"""Knows the tables of uploaded files' records, in a file of their own; their bytes lie elsewhere.

A version that was released is never edited, another one is added.
"""

from __future__ import annotations

from collections.abc import Sequence

FILE_TABLES: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE files (
            project_id TEXT NOT NULL,
            id TEXT NOT NULL,
            state TEXT NOT NULL,
            size INTEGER NOT NULL,
            due REAL,
            document TEXT NOT NULL,
            PRIMARY KEY (project_id, id)
        ) WITHOUT ROWID""",
        "CREATE INDEX files_by_state ON files (project_id, state, id)",
        "CREATE INDEX files_by_due ON files (due) WHERE due IS NOT NULL",
        # Counted in the transactions that add and remove, because a sum of all files would take longer with each.
        "CREATE TABLE storage (project_id TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID",
    ),
)
