"""Opening the database file: created private, migrated, with the settings each connection needs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

import msgspec
from platformdirs import user_data_path

from ..errors import LogError
from . import schema
from .lock import FileLock

Durability = Literal["full", "normal"]


#: How long a lock that another program has is waited for.
PATIENCE_MS: Final = 5000


class Prepared(msgspec.Struct, frozen=True):
    """What :func:`prepare` found or did.

    Attributes:
        path: where the file is.
        created: whether it is new.
        migrated_from: the schema it had, where it was older than this one.
        schema: the schema it has now.
        events: how many events it holds.
        epoch: its identity.
    """

    path: Path
    created: bool
    migrated_from: int | None
    schema: int
    events: int
    epoch: str


def default_path() -> Path:
    """The database of this user, where ``--db`` and ``CHATKIT_DB`` say nothing."""
    return user_data_path("chatkit", appauthor=False) / "chatkit.db"


def prepare(path: Path, *, count: bool = True) -> Prepared:
    """Create or migrate the database at ``path``; does nothing to one that is up to date.

    ``count=False`` leaves ``events`` 0: counting ten million rows takes most of a second. A new file, and a directory
    made for it, are private to the user.

    Raises:
        NotALog, SchemaTooNew: the file is left untouched.
        LogInUse: it needs work, and another process has it.
        LogError: it cannot be opened; the message says why.
    """
    try:
        if path.exists() and path.stat().st_size:
            with closing(_look(path)) as connection:
                if schema.version_of(connection, str(path)) == schema.VERSION:
                    return _prepared(path, connection, schema.VERSION, count=count)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        with FileLock(path):  # from here on the file is written, and closing it checkpoints
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            with closing(connect(path)) as connection:
                version = schema.version_of(connection, str(path))
                if version < schema.VERSION:
                    connection.execute("PRAGMA journal_mode = WAL")
                    schema.migrate(connection, version)
                return _prepared(path, connection, version, count=count)
    except (OSError, sqlite3.Error) as error:
        raise unusable(path, error) from error


def _prepared(path: Path, connection: sqlite3.Connection, version: int, *, count: bool) -> Prepared:
    epoch = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
    events = connection.execute("SELECT count(*) FROM messages").fetchone()[0] if count else 0
    migrated_from = version if 0 < version < schema.VERSION else None
    return Prepared(path, version == 0, migrated_from, schema.VERSION, events, epoch)


def wal_of(path: Path) -> Path:
    """The write-ahead log of the database at ``path``: beside the file itself, where ``path`` is a link to it."""
    file = Path(os.path.realpath(path))
    return file.with_name(file.name + "-wal")


def connect(path: Path) -> sqlite3.Connection:
    """A plain connection with nothing implicit: no transactions of its own, usable from the thread that works."""
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_MS / 1000, cached_statements=256
    )


def _look(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, to ask whose file it is.

    One that may write would, as the last to close it, check in the WAL that another program had left behind; and one
    that may only read leaves a WAL of its own, so where there is none it must not look for one.
    """
    wal = wal_of(path).exists()
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'' if wal else '&immutable=1'}", uri=True)


def unusable(path: Path, error: Exception) -> LogError:
    """One line for a person about a file that cannot be used."""
    return LogError(f"cannot use the database {path}: {error}")
