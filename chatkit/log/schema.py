"""The tables, their versions, and how a file is told to be ours."""

from __future__ import annotations

import sqlite3
from typing import Final

import uuid_utils

from ..errors import NotALog, SchemaTooNew

#: ``PRAGMA application_id`` of a chatkit database: "chkt". sqlite.org/fileformat.html#application_id
APPLICATION_ID: Final = 0x63686B74

#: The seed's columns keep their names and meanings. ``seq`` is AUTOINCREMENT so that a position is not given again
#: after pruning. ``data`` is NULL where it would only repeat the other columns. An index on ``channel`` alone is
#: one on (channel, seq), since SQLite ends every index entry with the rowid. ``created_at`` is the author's clock;
#: ``stored_at`` is ours, and the one that retention goes by.
_VERSION_1: Final = """
CREATE TABLE messages (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    channel    TEXT    NOT NULL,
    room_id    TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    data       TEXT,
    created_at INTEGER NOT NULL,
    stored_at  INTEGER NOT NULL,
    checksum   INTEGER NOT NULL
);
CREATE INDEX messages_channel ON messages (channel);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
"""

#: Tokens by their SHA-256: who reads the file learns no token. ``send_patterns`` and ``read_patterns`` are JSON lists;
#: times are Unix milliseconds. A revoked one stays, so that it can be told from one that never was.
_TOKENS: Final = """
CREATE TABLE tokens (
    digest        BLOB    PRIMARY KEY,
    name          TEXT    NOT NULL,
    send_patterns TEXT    NOT NULL,
    read_patterns TEXT    NOT NULL,
    admin         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    revoked_at    INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;
"""

#: Step n takes a file from version n to n + 1.
MIGRATIONS: Final = (_VERSION_1, _TOKENS)
VERSION: Final = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """The schema version of an open file; 0 for an empty one.

    Raises:
        NotALog: it holds something, and not a chatkit database.
        SchemaTooNew: a newer chatkit made it.
    """
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise
        raise NotALog(f"{path} is not a chatkit database: {error}; name another file with --db") from None
    if application_id == 0 and tables == 0:
        return 0
    if application_id != APPLICATION_ID:
        raise NotALog(f"{path} is a database of another program; name another file with --db")
    if version > VERSION:
        raise SchemaTooNew(
            f"{path} has schema {version} and this chatkit knows up to {VERSION}; upgrade chatkit to use it"
        )
    return version


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Take an open file from ``version`` to :data:`VERSION`, in one transaction."""
    statements = "".join(MIGRATIONS[version:])
    epoch = "" if version else f"INSERT INTO meta VALUES ('epoch', '{new_epoch()}'), ('floor', 0);"
    connection.executescript(
        f"BEGIN IMMEDIATE;{statements}{epoch}"
        f"PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {VERSION};COMMIT;"
    )


def migrate_to_current(connection: sqlite3.Connection, path: str) -> None:
    """Migrate an open file that is not empty.

    Raises:
        NotALog, SchemaTooNew: it is not touched.
    """
    version = version_of(connection, path)
    if version < VERSION:
        migrate(connection, version)


def new_epoch() -> str:
    """A new log identity: 12 characters, unique for all practical purposes."""
    return uuid_utils.uuid4().hex[:12]
