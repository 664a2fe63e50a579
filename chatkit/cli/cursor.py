"""The file of ``chatkit tail --cursor``: replaced whole, so that it is the old position or the new one, never a part."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ..client.position import Cursor
from ..errors import ChatkitError, InvalidName
from .ending import UsageError

#: Far more than the most topics of a connection take.
_MAX_BYTES: Final = 1 << 20

#: Seconds between two writes while events pass that were not asked for: seen again, they are passed over again.
_LAZY_S: Final = 1.0


class CursorFile:
    """A cursor on the disk.

    Attributes:
        path: where; a symbolic link is followed, so that what is replaced is the file and not the link.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self._shown = path
        self._draft = os.path.join(os.path.dirname(self.path), f".{os.path.basename(self.path)}.{os.getpid()}")
        self._kept: Cursor | None = None
        self._kept_at = 0.0

    def read(self) -> Cursor | None:
        """The cursor that is there, ``None`` where there is no file yet.

        Raises:
            UsageError: it is no cursor, or cannot be read.
        """
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise UsageError(f"the cursor {self._shown} should be a file of its own")
            with open(self.path, "rb") as file:
                return Cursor.from_json(file.read(_MAX_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read the cursor {self._shown}: {error.strerror}") from error
        except InvalidName:
            raise UsageError(
                f"{self._shown} is not a cursor of `chatkit tail`; name another file, or remove it to start anew"
            ) from None

    def wrong(self, error: InvalidName) -> UsageError:
        """What to say of a cursor that belongs to something else."""
        return UsageError(f"{self._shown} cannot be used here: {error}; name another file, or remove it to start anew")

    def keep(self, cursor: Cursor) -> None:
        """Write ``cursor``; when this returns it is on the disk, whatever happens next.

        Raises:
            ChatkitError: it cannot be written; the file is what it was.
        """
        if cursor == self._kept:
            return
        try:
            file = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                os.write(file, f"{cursor.to_json()}\n".encode())
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(self._draft, self.path)
            _sync_directory(os.path.dirname(self.path))
        except OSError as error:
            with suppress(OSError):
                os.unlink(self._draft)
            raise ChatkitError(f"cannot write the cursor {self._shown}: {error.strerror}") from error
        self._kept, self._kept_at = cursor, time.monotonic()

    def keep_lazily(self, cursor: Callable[[], Cursor]) -> None:
        """As :meth:`keep`, at most once in a while: for events that were passed over without being shown."""
        if time.monotonic() - self._kept_at >= _LAZY_S:
            self.keep(cursor())


def _sync_directory(path: str) -> None:
    """Make a rename last: it is an entry of the directory, which has its own way to the disk."""
    if os.name == "nt":
        return  # Windows opens no directory; it writes its entries through
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
