"""A check-up: what is wrong, or soon will be, with a database and what it stands on, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

import msgspec

from ...errors import LogDamaged, LogError
from .. import opening, reader, schema
from ..checkpoint import WARN_BYTES, known_faults
from ..lock import holder_of
from ..setup import wal_of
from .copying import Progress, check_pages, damaged_rows, some, trouble

Level = Literal["ok", "note", "warning", "problem", "damage"]

_MIB: Final = 1024 * 1024
_LITTLE_ROOM_BYTES: Final = 512 * _MIB
_NO_ROOM_BYTES: Final = 32 * _MIB
_CLOCK_SLACK_S: Final = 5.0
#: Before chatkit was written no clock was right.
_EARLIEST_S: Final = 1_735_689_600.0


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at.

    Attributes:
        check: which.
        level: ``note`` is worth knowing, ``warning`` may become a problem, ``problem`` is one, ``damage`` means that
            the database is not what was written.
        text: what was found.
        advice: what to do; empty when nothing is to be done.
    """

    check: str
    level: Level
    text: str
    advice: str = ""


def examine(db: Path, *, full: bool, now_s: float, progress: Progress | None = None) -> Iterator[Finding]:
    """Look at everything, reading only; each finding is given as soon as it is known.

    Args:
        db: the database file.
        full: every page and index, and the checksum of every event, instead of the structure of the pages.
        now_s: Unix time.
        progress: for the long part of it.
    """
    yield _python()
    yield from _sqlite()
    yield _clock(now_s)
    if not db.exists():
        yield Finding("file", "problem", f"there is no database at {db}", "run `chatkit setup`, or name it with --db")
        return
    yield from _file(db)
    yield _room(db)
    yield _wal(db)
    holder = holder_of(db)
    if holder is None:
        yield Finding("in use", "ok", "no server has it open")
    else:
        yield Finding("in use", "ok", f"process {holder} serves it")
    try:
        was_there = opening.has_wal(db)
        with closing(reader.connect(db)) as connection:
            yield from _content(
                connection, db, full=full, now_s=now_s, progress=progress, closed=holder is None, wal=was_there
            )
    except LogDamaged as error:
        yield Finding("pages", "damage", str(error), _RESTORE)
    except LogError as error:
        yield Finding("schema", "problem", str(error))
    except (sqlite3.Error, OSError) as error:
        damaged = isinstance(trouble(error, ""), LogDamaged)
        yield Finding("pages", "damage" if damaged else "problem", f"{db}: {error}", _RESTORE if damaged else "")


_RESTORE: Final = "stop the server, keep a copy of the file, and `chatkit restore` the last good backup"


def _content(
    connection: sqlite3.Connection,
    db: Path,
    *,
    full: bool,
    now_s: float,
    progress: Progress | None,
    closed: bool,
    wal: bool,
) -> Iterator[Finding]:
    run = connection.execute
    version = schema.version_of(connection, str(db))
    if version < schema.VERSION:
        text = "the file is empty" if not version else f"schema {version}; this chatkit writes {schema.VERSION}"
        yield Finding("schema", "note" if version else "problem", text, "run `chatkit setup`")
        return
    yield Finding("schema", "ok", f"version {version}, application id {schema.APPLICATION_ID:#x}")
    if closed and (why := opening.missing(run, wal, opening.boot_id())) is not None:
        advice = "look for the -wal file where the database came from; else start the server: clients will reload"
        yield Finding("complete", "problem", why, advice)
    check_pages(connection, db, full=full)
    yield Finding("pages", "ok", f"{'integrity' if full else 'quick'}_check finds nothing")
    if full:
        damaged = damaged_rows(connection, progress)
        if damaged:
            yield Finding("events", "damage", f"{some(damaged)} not what was stored", _RESTORE)
        else:
            yield Finding("events", "ok", "every event has the checksum that it was stored with")
    yield from _positions(connection)
    newest = run("SELECT max(stored_at) FROM (SELECT stored_at FROM messages ORDER BY seq DESC LIMIT 100)").fetchone()[
        0
    ]
    if newest is not None and newest / 1000 > now_s + _CLOCK_SLACK_S:
        ahead_s = newest / 1000 - now_s
        yield Finding(
            "times",
            "warning",
            f"the newest events were stored {ahead_s:,.0f} s in the future",
            "the clock was set back, or was wrong before; order does not depend on it, but retention waits so long",
        )


def _positions(connection: sqlite3.Connection) -> Iterator[Finding]:
    run = connection.execute
    first, last, events = run("SELECT min(seq), max(seq), count(*) FROM messages").fetchone()
    head = run("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'messages'").fetchone()[0]
    meta = dict(run("SELECT key, value FROM meta").fetchall())
    floor = meta.get("floor")
    if not isinstance(meta.get("epoch"), str) or not isinstance(floor, int):
        yield Finding("positions", "damage", "the log's epoch or floor is missing", _RESTORE)
    elif (last or 0) > head or (first is not None and first <= floor):
        yield Finding(
            "positions", "damage", f"events {first} to {last} do not fit floor {floor} and head {head}", _RESTORE
        )
    else:
        yield Finding("positions", "ok", f"epoch {meta['epoch']}, {events} events after {floor}, head {head}")


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}")


def _sqlite() -> Iterator[Finding]:
    fault = known_faults()
    if fault is None:
        yield Finding("sqlite", "ok", f"SQLite {sqlite3.sqlite_version}")
    else:
        yield Finding("sqlite", "note", fault, "let no other program write to the database")


def _clock(now_s: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s))
    if now_s < _EARLIEST_S:
        return Finding("clock", "problem", f"it says {shown}", "set the clock: messages get their time from it")
    return Finding("clock", "ok", f"it says {shown}")


def _file(db: Path) -> Iterator[Finding]:
    if os.name == "posix":
        found = db.stat()
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            yield Finding("permissions", "warning", f"others may open it (mode {mode:04o})", f"chmod 600 {db}")
        elif found.st_uid != os.geteuid() and os.geteuid() != 0:
            yield Finding("permissions", "problem", f"it belongs to user {found.st_uid}", f"chown it to {os.geteuid()}")
        else:
            yield Finding("permissions", "ok", f"private (mode {mode:04o})")
    for path, what in ((db, "the file"), (db.parent, "its directory")):
        if not os.access(path, os.R_OK | os.W_OK):
            yield Finding("permissions", "problem", f"{what} may not be written", f"chmod u+w {path}")


def _room(db: Path) -> Finding:
    free = shutil.disk_usage(db.parent).free
    text = f"{free // _MIB:,} MiB free, the database has {db.stat().st_size / _MIB:,.1f} MiB"
    if free < _NO_ROOM_BYTES:
        return Finding("room", "problem", text, "make room, or `chatkit prune`; without it sends are answered 507")
    if free < _LITTLE_ROOM_BYTES:
        return Finding("room", "warning", text, "make room, or set --retention")
    return Finding("room", "ok", text)


def _wal(db: Path) -> Finding:
    try:
        size = wal_of(db).stat().st_size
    except OSError:
        return Finding("wal", "ok", "none: the database was closed")
    if size >= WARN_BYTES:
        advice = "another program holds the database open; end it, and the file shrinks by itself"
        return Finding("wal", "warning", f"{size // _MIB:,} MiB", advice)
    return Finding("wal", "ok", f"{size / _MIB:,.1f} MiB")
