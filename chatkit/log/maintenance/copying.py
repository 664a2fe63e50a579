"""Copying a database while it is written to, and checking that a copy is whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from ...errors import LogDamaged, LogError, NotALog
from .. import opening, reader, rows, schema, setup

#: Told now and then how far a piece of work is: what is done, and of how much.
Progress = Callable[[int, int], None]

_PAGES_AT_ONCE: Final = 1024
_ROWS_AT_ONCE: Final = 2000


class Copied(msgspec.Struct, frozen=True):
    """A copy that is whole."""

    path: Path
    events: int
    size_bytes: int
    epoch: str


def backup(db: Path, target: Path, *, force: bool = False, progress: Progress | None = None) -> Copied:
    """Copy the database to a new file; a server may go on writing meanwhile.

    The copy is what the log was when the copying began: a read transaction holds that state, without which SQLite's
    backup would start over with each commit. It appears under its name when it is whole, checked and on the disk.

    Raises:
        LogError: there is nothing to copy, no room, or something at ``target`` already and not ``force``.
        LogDamaged: the copy does not pass the check, because the database would not.
    """
    if not db.exists():
        raise LogError(f"there is no database at {db}; name it with --db")
    _check_free(target, force)
    draft = draft_of(target)
    try:
        with closing(reader.connect(db)) as source:
            copy(source, db, draft, progress)
        with closing(setup.connect(draft)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            opening.mark_closed(connection.execute)  # the log that was copied is open; the copy is not
            check_pages(connection, draft)
            epoch = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
            events = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        put_in_place(draft, target)
    except (OSError, sqlite3.Error) as error:
        raise trouble(error, f"the backup to {target} failed: {error}") from error
    finally:
        remove(draft)
    return Copied(target, events, target.stat().st_size, epoch)


def restore(source_file: Path, db: Path, *, force: bool = False, progress: Progress | None = None) -> Copied:
    """Put a backup, or any chatkit database, in the place of ``db``, under a new epoch.

    It is copied and checked to the last row beside ``db`` first: what is there is replaced only by something whole.
    The caller holds the lock of ``db``.

    Raises:
        NotALog, SchemaTooNew, LogDamaged: of the backup; ``db`` is as it was.
        LogError: there is something at ``db`` already and not ``force``, or the disk says no.
    """
    if not source_file.exists():
        raise LogError(f"there is no backup at {source_file}")
    if db.exists() and source_file.samefile(db):
        raise LogError(f"{source_file} is the database itself")
    _check_free(db, force)
    draft = draft_of(db)
    try:
        with closing(reader.connect(source_file)) as source:
            if schema.version_of(source, str(source_file)) == 0:
                raise NotALog(f"{source_file} is empty")
            copy(source, source_file, draft, progress)
        with closing(setup.connect(draft)) as connection:
            run = connection.execute
            run("PRAGMA synchronous = FULL")
            schema.migrate_to_current(connection, str(source_file))
            check_pages(connection, source_file, full=True)
            damaged = damaged_rows(connection, progress)
            if damaged:
                raise LogDamaged(f"{source_file}: {some(damaged)} not what was stored; the database is as it was")
            opening.mark_closed(run)
            epoch = opening.renew_epoch(run)
            events = run("SELECT count(*) FROM messages").fetchone()[0]
        _retire(db)
        put_in_place(draft, db)
    except (OSError, sqlite3.Error) as error:
        raise trouble(error, f"restoring {source_file} failed: {error}; the database is as it was") from error
    finally:
        remove(draft)
    return Copied(db, events, db.stat().st_size, epoch)


def copy(source: sqlite3.Connection, path: Path, draft: Path, progress: Progress | None) -> None:
    """Copy one state of ``source`` to the new file ``draft``, private to the user."""
    if schema.version_of(source, str(path)) == 0:
        raise NotALog(f"{path} is empty")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # now the transaction has its state
    with closing(setup.connect(draft)) as target:
        source.backup(
            target,
            pages=_PAGES_AT_ONCE,
            sleep=0,
            progress=None if progress is None else lambda _, left, total: progress(total - left, total),
        )
        target.execute("PRAGMA journal_mode = DELETE")  # one file, whole without a WAL beside it
    source.execute("ROLLBACK")


def trouble(error: Exception, sentence: str) -> LogError:
    """The error to raise: a file that SQLite cannot make sense of is damaged, anything else is the disk's fault."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return (LogDamaged if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else LogError)(sentence)


def check_pages(connection: sqlite3.Connection, path: Path, *, full: bool = False) -> None:
    """Let SQLite check the structure of a file.

    Raises:
        LogDamaged: something is wrong; the message says what first.
    """
    found = [str(row[0]) for row in connection.execute(f"PRAGMA {'integrity' if full else 'quick'}_check(20)")]
    if found != ["ok"]:
        raise LogDamaged(f"{path} is damaged: {' '.join(found[0].split())}")


def damaged_rows(connection: sqlite3.Connection, progress: Progress | None = None) -> list[int]:
    """Positions of events whose checksum does not fit what is stored."""
    connection.text_factory = _lenient
    total = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
    damaged: list[int] = []
    position, done = -1, 0
    while True:
        found = connection.execute(rows.SELECT_CHECKED, (position, _ROWS_AT_ONCE)).fetchall()
        if not found:
            return damaged
        damaged += [int(row[0]) for row in found if not rows.is_as_stored(row)]
        position, done = found[-1][0], done + len(found)
        if progress is not None:
            progress(done, total)


def some(positions: list[int]) -> str:
    """``events 3, 4 and 2 more are``."""
    shown = ", ".join(map(str, positions[:5]))
    more = f" and {len(positions) - 5} more" if len(positions) > 5 else ""
    return f"event {shown} is" if len(positions) == 1 else f"events {shown}{more} are"


def draft_of(path: Path) -> Path:
    """Where a file is put together before it gets its name."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def put_in_place(draft: Path, path: Path) -> None:
    """Give a finished file its name, so that after a power cut there is the old one or the new one, whole."""
    _sync(draft)
    draft.replace(path)
    if os.name == "posix":
        _sync(path.parent)


def remove(draft: Path) -> None:
    """Remove what is left of a file that was not finished."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(OSError):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _check_free(path: Path, force: bool) -> None:
    if path.is_dir():
        raise LogError(f"{path} is a directory; name a file in it")
    if path.exists() and not force:
        raise LogError(f"{path} exists; --force replaces it")


def _retire(db: Path) -> None:
    """Take what belongs to the old file out of the new one's way: its WAL would be replayed into the new one.

    Closing it copies the WAL into it first, so that the old file is whole until the moment it is replaced.
    """
    if db.exists():
        with suppress(sqlite3.Error), closing(setup.connect(db)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for suffix in ("-wal", "-shm"):
        db.with_name(db.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _lenient(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
