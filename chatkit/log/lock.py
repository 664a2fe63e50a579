"""One process owns a database: two connections that write and checkpoint at once can corrupt a WAL file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import LogError


class FileLock:
    """An advisory lock beside the database, held for as long as the process lives.

    The operating system drops it when the process dies, however it dies, so there is nothing stale to clean up. The
    file holds the owner's process id for the error message only, and stays behind: removing it would race.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LogError: another process has it; the message names its process id.
        """
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(file)
        except OSError:
            holder = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise LogError(
                f"{self.path.with_suffix('')} is in use by another chatkit (process {holder}); "
                "stop it, or name another file with --db"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0) if hasattr(os, "pwrite") else os.write(file, b"")
        self._file = file

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # beyond the process id, which others must be able to read
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
