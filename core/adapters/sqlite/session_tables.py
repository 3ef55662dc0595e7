"""Knows the tables of sessions and transcripts, in a file of their own: a transcript of 100 MB must not hold up a budget.

A version that was released is never edited, another one is added.
"""

from __future__ import annotations

from collections.abc import Sequence

SESSION_TABLES: Sequence[Sequence[str]] = (
    (
        """CREATE TABLE sessions (
            number INTEGER PRIMARY KEY,
            project_id TEXT NOT NULL,
            id TEXT NOT NULL,
            document TEXT NOT NULL,
            fence INTEGER NOT NULL,
            held_until REAL NOT NULL,
            expires_at REAL,
            UNIQUE (project_id, id)
        )""",
        "CREATE INDEX sessions_by_expiry ON sessions (expires_at) WHERE expires_at IS NOT NULL",
        """CREATE TABLE transcripts (
            number INTEGER PRIMARY KEY,
            project_key TEXT NOT NULL,
            session_id TEXT NOT NULL,
            fence INTEGER NOT NULL,
            changed_at INTEGER NOT NULL,
            UNIQUE (project_key, session_id)
        )""",
        """CREATE TABLE entries (
            number INTEGER PRIMARY KEY,
            transcript INTEGER NOT NULL REFERENCES transcripts (number) ON DELETE CASCADE,
            subpath TEXT NOT NULL,
            uuid TEXT,
            entry BLOB NOT NULL
        )""",
        "CREATE INDEX entries_of_transcript ON entries (transcript, subpath, number)",
        "CREATE UNIQUE INDEX entries_once ON entries (transcript, subpath, uuid) WHERE uuid IS NOT NULL",
    ),
)
