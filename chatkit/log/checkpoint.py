"""Bringing the write-ahead log back into the database file, without holding up a commit.

SQLite would do it by itself inside the commit that passes a number of pages, which makes that commit's senders wait.
Here the writer's own connection does it, on its own thread, in a pause or once too much has piled up, and never
another connection: two that write and checkpoint at once can corrupt a WAL file (SQLite 3.7.0-3.51.2).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..errors import LogFailed
from .setup import PATIENCE_MS

logger = logging.getLogger("chatkit.log")

MIB: Final = 1024 * 1024

#: Bytes written since the last checkpoint from which on a pause is used for one.
IDLE_BYTES: Final = 2 * MIB
#: Bytes from which on it does not wait for a pause.
BUSY_BYTES: Final = 16 * MIB
#: What the WAL file is cut to when it starts over: overwriting it syncs faster than growing it anew.
KEPT_BYTES: Final = 16 * MIB
#: From here on a checkpoint waits a little for readers, so that the WAL can start over.
FAR_BYTES: Final = 64 * MIB
#: From here on somebody is told; again at each doubling.
WARN_BYTES: Final = 256 * MIB

_WAIT_MS: Final = 50

#: An estimate of what a commit and a row add to the WAL beside the row's data: pages of the table and its indexes.
COMMIT_BYTES: Final = 3 * 4096
ROW_BYTES: Final = 256

Run = Callable[..., sqlite3.Cursor]


class Checkpointer:
    """The WAL of one database; used by its writer only, except for reading the attributes.

    Attributes:
        since_bytes: an estimate of what was written since the last checkpoint.
        wal_bytes: the WAL's content at the last checkpoint.
        held_bytes: what of it could not be copied because a reader still needs the old pages.
        may_sync: whether the next commit may start the file over, which syncs its header whatever ``synchronous`` says.
            That follows a checkpoint; one by another program, which nobody should run, is not noticed.
        count: checkpoints so far.
    """

    def __init__(self, run: Run, path: Path) -> None:
        self._run, self._path = run, path
        self._page_bytes: int = run("PRAGMA page_size").fetchone()[0]
        self._warn_bytes = WARN_BYTES
        self.since_bytes = 0
        self.wal_bytes = 0
        self.held_bytes = 0
        self.may_sync = True  # opening the log ended in a checkpoint
        self.count = 0
        run("PRAGMA wal_autocheckpoint = 0")
        run(f"PRAGMA journal_size_limit = {KEPT_BYTES}")

    def checkpoint(self) -> None:
        """Copy what can be copied; no reader is held up, nor waited for unless the WAL has grown far.

        Raises:
            LogFailed: an I/O error.
        """
        self.since_bytes = 0
        self.may_sync = True
        self.count += 1
        try:
            self._copy("PASSIVE")
            if self.wal_bytes >= FAR_BYTES and not self.held_bytes:
                self._run(f"PRAGMA busy_timeout = {_WAIT_MS}")
                try:
                    self._copy("RESTART")
                finally:
                    self._run(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        except sqlite3.Error as error:
            raise_unless_passing(error, self._path)
        self._warn()

    def _copy(self, mode: str) -> None:
        _, frames, copied = self._run(f"PRAGMA wal_checkpoint({mode})").fetchone()
        self.wal_bytes = max(0, frames) * self._page_bytes
        self.held_bytes = max(0, frames - copied) * self._page_bytes

    def _warn(self) -> None:
        if self.wal_bytes < WARN_BYTES:
            self._warn_bytes = WARN_BYTES
        elif self.wal_bytes >= self._warn_bytes:
            self._warn_bytes = 2 * self.wal_bytes
            logger.warning(
                "%s-wal has grown to %d MiB: another program holds an old snapshot of the database open; end it, "
                "and the file shrinks by itself",
                self._path,
                self.wal_bytes // MIB,
            )


def raise_unless_passing(error: sqlite3.Error, path: Path) -> None:
    """For an error of a checkpoint: the WAL keeps what could not be copied, so a full disk or a lock only delays it.

    Raises:
        LogFailed: it is anything else.
    """
    code: Any = getattr(error, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise LogFailed(f"checkpointing {path} failed: {described(error)}") from error


def described(error: sqlite3.Error) -> str:
    """What SQLite says, with the name of its error where it has one."""
    name = getattr(error, "sqlite_errorname", None)
    return f"{error} ({name})" if name else str(error)


def known_faults(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str | None:
    """What is known to be wrong with a version of SQLite's WAL, and why it does no harm here; ``None`` when nothing.

    sqlite.org/wal.html, "The WAL-Reset Bug".
    """
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)
    if fixed or version < (3, 7, 0):
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can corrupt a WAL database when two connections write and checkpoint at "
        "once (fixed in 3.51.3); chatkit is not affected, one connection does both"
    )
