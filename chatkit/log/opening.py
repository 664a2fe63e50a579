"""Telling, when a database is opened, whether some of what was committed is missing.

While a log is open its file says so. A file that says so and is opened anew was not closed: the process died, which
loses nothing, since the WAL beside it is replayed. Two cases do lose something, and both must end the epoch: positions
that clients hold would be given again, to other events.

- The WAL is gone: somebody copied or kept only the ``.db`` file.
- The machine went down and the log was not synced at each commit (``--durability normal``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import schema
from .setup import wal_of

_OPEN: Final = "open"
_WAL_HEADER_BYTES: Final = 32
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Run = Callable[..., sqlite3.Cursor]


def boot_id() -> str:
    """The identity of the machine's current boot; empty where there is none to be had."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def has_wal(path: Path) -> bool:
    """Whether a WAL with anything in it lies beside the file; to be asked before a connection is made."""
    try:
        return wal_of(path).stat().st_size > _WAL_HEADER_BYTES
    except OSError:
        return False


def missing(run: Run, wal_was_there: bool, boot: str) -> str | None:
    """Why some of what was committed is missing; ``None`` when nothing is.

    Args:
        run: executes a statement.
        wal_was_there: :func:`has_wal` before the connection was made.
        boot: the machine's :func:`boot_id`.
    """
    row = run("SELECT value FROM meta WHERE key = ?", (_OPEN,)).fetchone()
    if row is None:
        return None
    durability, _, marked_boot = str(row[0]).partition(" ")
    if not wal_was_there:
        return "it was not closed and its -wal file is gone, with whatever was not yet in the database file"
    if durability == "normal" and marked_boot and boot and marked_boot != boot:
        return "the machine went down while it was open with --durability normal"
    return None


def mark_open(run: Run, durability: str, boot: str) -> None:
    """Write into the file that the log is open, and make sure that it is not only in the WAL."""
    run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_OPEN, f"{durability} {boot}".strip()))
    run("PRAGMA wal_checkpoint(PASSIVE)")


def mark_closed(run: Run) -> None:
    """The log is complete; what follows is the last checkpoint."""
    run("DELETE FROM meta WHERE key = ?", (_OPEN,))


def renew_epoch(run: Run) -> str:
    """Give the log a new identity, and return it."""
    epoch = schema.new_epoch()
    run("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
    return epoch
