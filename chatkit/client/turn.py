"""Whose turn it is to deliver: one process at a time for each server, or messages would overtake each other."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import zlib
from types import TracebackType
from typing import Self

from ..errors import SpoolBusy, SpoolError


class Turn:
    """A lock on a file beside the spool. The operating system drops it with the process, however that ends.

    The file stays: removing it would race with whoever waits for it.

    Args:
        path: the spool.
        url: the server.
        wait_s: seconds to wait for another process.

    Raises:
        SpoolBusy: on entering, when another process is still at it.
        SpoolError: the lock cannot be made.
    """

    def __init__(self, path: str, url: str, wait_s: float) -> None:
        self._path, self._url, self._wait_s = f"{path}.{zlib.crc32(url.encode()):08x}.lock", url, wait_s
        self._file = -1
        self._guard = threading.Lock()
        self._given_up = False

    def __enter__(self) -> Self:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise SpoolError(f"cannot use the lock {self._path}: {error.strerror}") from error
        if _try_lock(self._file):
            return self
        if self._wait_s <= 0:
            os.close(self._file)
        elif self._wait():
            return self
        raise SpoolBusy(f"another chatkit is delivering to {self._url}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _wait(self) -> bool:
        """Wait for the lock in a thread: a lock has no deadline, and asking again and again would be unfair."""
        got = threading.Event()

        def lock() -> None:
            with contextlib.suppress(OSError):
                _lock(self._file)
                with self._guard:
                    if not self._given_up:
                        got.set()
                        return
            os.close(self._file)

        threading.Thread(target=lock, name="turn", daemon=True).start()
        try:
            got.wait(self._wait_s)
        finally:
            with self._guard:
                self._given_up = not got.is_set()
        return got.is_set()


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _lock(file: int) -> None:
        while True:
            with contextlib.suppress(OSError):  # it gives up after 10 s
                return msvcrt.locking(file, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
