"""Writing the write-ahead log to the disk while it grows."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import LogFailed
from .setup import wal_of
from .worker import Worker

logger = logging.getLogger("chatkit.log")

#: How many new bytes are worth a sync.
_STEP_BYTES: Final = 1024 * 1024

_sync: Final = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have only the other


class Flusher:
    """Keeps a checkpoint short where commits do not sync.

    A checkpoint begins with a sync of the whole WAL, and commits wait for it: 16 MiB that nobody has asked the disk to
    write take a tenth of a second. So they are written as they come, from a thread of its own beside which commits go
    on. PostgreSQL does the same (``wal_writer_flush_after``).

    Args:
        path: the database.
        failed: told on the loop that the disk does not take it.

    Attributes:
        flushing: the sync that is under way, or was the last.
    """

    def __init__(self, path: Path, failed: Callable[[LogFailed], None]) -> None:
        self._wal = wal_of(path)
        self._failed = failed
        self._thread = Worker("chatkit-log-flusher")
        self._file: int | None = None
        self._is_off = False
        self._since_bytes = self._asked_bytes = 0
        self.flushing: asyncio.Future[None] | None = None

    def wrote(self, since_bytes: int) -> None:
        """So much was written since the last checkpoint."""
        if since_bytes < self._since_bytes:  # there was one
            self._asked_bytes = 0
        self._since_bytes = since_bytes
        if since_bytes - self._asked_bytes >= _STEP_BYTES and self._thread.is_idle and not self._is_off:
            self._asked_bytes = since_bytes
            self.flushing = self._thread.call(self._flush)
            self.flushing.add_done_callback(self._flushed)

    async def close(self) -> None:
        """Wait for the sync that is under way, and let go of the file. Idempotent."""
        self._is_off = True
        if self.flushing is not None:
            await asyncio.wait([self.flushing])
        self._thread.close()
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _flush(self) -> None:
        if self._file is None:
            try:
                self._file = os.open(self._wal, os.O_RDWR)
            except OSError as error:  # too many open files, say: it says nothing about what is written
                self._is_off = True
                logger.warning("%s is not written ahead of checkpoints, which will take longer: %s", self._wal, error)
                return
        _sync(self._file)

    def _flushed(self, done: asyncio.Future[None]) -> None:
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            self._is_off = True
            self._failed(LogFailed(f"writing {self._wal} failed: {error}"))
        else:
            self.wrote(self._since_bytes)  # as much may have come meanwhile
