"""One process owns a database: two connections that write and checkpoint at once can corrupt a WAL file."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from ..errors import LogError, LogInUse

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class FileLock:
    """An advisory lock beside the database, held for as long as the process lives.

    The operating system drops it when the process dies, however it dies, so there is nothing stale to clean up. The
    file holds the owner's process id for the error message only, and stays behind: removing it would race.
    """

    def __init__(self, database: Path) -> None:
        file = Path(os.path.realpath(database))  # by whatever link it is opened, there is one lock
        self.path = file.with_name(file.name + ".lock")
        self._database = database
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LogInUse: another process has it.
            LogError: the lock file cannot be made or locked.
        """
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise LogError(f"cannot make the lock file {self.path}: {error.strerror}") from error
        try:
            _lock(file)
        except OSError as error:
            holder = _holder(file)
            os.close(file)
            if error.errno in _HELD:
                raise LogInUse(self._database, holder) from None
            raise LogError(f"cannot lock {self.path}: {error.strerror}") from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds, it only cannot say whose it is
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def holder_of(database: Path) -> str | None:
    """The process id of whoever owns ``database``, ``None`` when nobody does. Makes no file and keeps no lock."""
    lock = FileLock(database)
    try:
        file = os.open(lock.path, os.O_RDWR)
    except OSError:
        return None
    try:
        _lock(file)
    except OSError:
        return _holder(file)
    finally:
        os.close(file)
    return None


def _holder(file: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(file, 0, os.SEEK_SET)
        return os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
    return "unknown"


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
