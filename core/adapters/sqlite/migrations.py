"""Knows every table and how it came to be; a version that was released is never edited, another one is added.

Amounts are integers: millionths of a dollar, tokens, nanoseconds for arrivals. Moments are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE projects (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL)",
        """CREATE TABLE keys (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            project_id TEXT NOT NULL REFERENCES projects (id),
            digest TEXT NOT NULL UNIQUE,
            document TEXT NOT NULL,
            revoked_at REAL,
            last_used_at REAL
        )""",
        "CREATE INDEX keys_of_project ON keys (project_id, number)",
        """CREATE TABLE audit (
            number INTEGER PRIMARY KEY,
            project_id TEXT NOT NULL,
            document TEXT NOT NULL
        )""",
        "CREATE INDEX audit_of_project ON audit (project_id, number)",
        """CREATE TABLE balances (
            account TEXT PRIMARY KEY,
            spent_microusd INTEGER NOT NULL,
            spent_tokens INTEGER NOT NULL,
            reserved_microusd INTEGER NOT NULL,
            reserved_tokens INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE reservations (
            id TEXT PRIMARY KEY,
            microusd INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            accounts TEXT NOT NULL,
            expires_at REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX reservations_by_expiry ON reservations (expires_at)",
        """CREATE TABLE arrivals (
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            arrival INTEGER NOT NULL,
            PRIMARY KEY (name, kind)
        ) WITHOUT ROWID""",
        """CREATE TABLE places (
            name TEXT NOT NULL,
            id TEXT NOT NULL,
            expires_at REAL NOT NULL,
            PRIMARY KEY (name, id)
        ) WITHOUT ROWID""",
        """CREATE TABLE usage_records (
            number INTEGER PRIMARY KEY,
            request_id TEXT NOT NULL UNIQUE,
            project_id TEXT NOT NULL,
            at REAL NOT NULL,
            document TEXT NOT NULL
        )""",
        "CREATE INDEX usage_of_project ON usage_records (project_id, number)",
        """CREATE TABLE usage_totals (
            project_id TEXT NOT NULL,
            day TEXT NOT NULL,
            key_id TEXT NOT NULL,
            model TEXT NOT NULL,
            requests INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cache_creation_input_tokens INTEGER NOT NULL,
            cache_read_input_tokens INTEGER NOT NULL,
            microusd INTEGER NOT NULL,
            PRIMARY KEY (project_id, day, key_id, model)
        ) WITHOUT ROWID""",
        """CREATE TABLE answers (
            kind TEXT NOT NULL,
            project_id TEXT NOT NULL,
            name TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            answer BLOB,
            expires_at REAL NOT NULL,
            PRIMARY KEY (kind, project_id, name)
        )""",
        "CREATE INDEX answers_by_expiry ON answers (expires_at)",
    ),
)
