"""Whether there is room on the disk, for the errors of SQLite that may or may not mean that there is none."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from .setup import wal_of

#: SQLite says SQLITE_FULL for ENOSPC alone. A quota and a limit on the size of files are other errors to it.
MAYBE_FULL: Final = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE})

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROBE: Final = b"\0" * 65536


def is_left(path: Path) -> bool:
    """Whether a file beside ``path`` may grow past the size of the database and its WAL."""
    sizes = [0]
    for name in (path, wal_of(path)):
        with contextlib.suppress(OSError):
            sizes.append(name.stat().st_size)
    try:
        with tempfile.TemporaryFile(dir=wal_of(path).parent, buffering=0) as probe:
            probe.seek(max(sizes))
            written = probe.write(_PROBE)
            os.fsync(probe.fileno())
            return written == len(_PROBE)
    except OSError as error:
        return error.errno not in _NO_ROOM
