"""Writing the write-ahead log to the disk while it grows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import LogFailed
from .worker import Worker

#: How many new bytes are worth a sync.
_STEP_BYTES: Final = 1024 * 1024

_sync: Final = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have only the other


class Flusher:
    """Keeps a checkpoint short where commits do not sync.

    A checkpoint begins with a sync of the whole WAL, and commits wait for it: 16 MiB that nobody has asked the disk to
    write take a tenth of a second. So they are written as they come, from a thread that holds nobody up. PostgreSQL does
    the same (``wal_writer_flush_after``).

    Args:
        path: the database.
        failed: told on the loop that the disk does not take it.
    """

    def __init__(self, path: Path, failed: Callable[[LogFailed], None]) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._failed = failed
        self._thread = Worker("chatkit-log-flusher")
        self._file: int | None = None
        self._asked_bytes = 0

    def wrote(self, since_bytes: int) -> None:
        """So much was written since the last checkpoint."""
        if since_bytes < self._asked_bytes:  # there was one
            self._asked_bytes = 0
        if since_bytes - self._asked_bytes >= _STEP_BYTES and self._thread.is_idle:
            self._asked_bytes = since_bytes
            self._thread.call(self._flush).add_done_callback(self._flushed)

    def close(self) -> None:
        """End the thread, after the sync that is under way, and let go of the file. Idempotent."""
        self._thread.close()
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _flush(self) -> None:
        if self._file is None:
            self._file = os.open(self._wal, os.O_RDWR)
        _sync(self._file)

    def _flushed(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._failed(LogFailed(f"writing {self._wal} failed: {error}"))
