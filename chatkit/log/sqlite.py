"""The log in an SQLite file in WAL mode: one connection writes, others read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ..errors import LogError, LogFailed
from ..model import Event, Pattern
from . import rows, setup
from .base import Appended, ChannelStats, Failed, Listener, Log, Outcome, Page, Pruned, Query, Submission
from .checkpoint import BUSY_BYTES, IDLE_BYTES
from .flusher import Flusher
from .inline import Inline
from .lock import FileLock
from .maintenance.pruning import Plan, Pruner, last_to_go
from .reader import Reader
from .worker import Worker
from .writer import Deferred, Writer

R = TypeVar("R")

#: How long no batch must have come for a checkpoint to use the pause.
_PAUSE_S: Final = 0.05


class SqliteLog(Log):
    """A :class:`~chatkit.log.base.Log` in a file.

    A batch is one hop to the writer's thread, or none where a commit syncs nothing (:class:`Inline`). Reads have a
    connection of their own, through aiosqlite, whose short transactions see only what is committed and never hold the
    writer up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epoch, self.head, self.floor = "", 0, 0
        self.engine = f"SQLite {sqlite3.sqlite_version}"
        self._lock = FileLock(path)
        self._thread = Worker("chatkit-log-writer")
        self._inline: Inline | None = None
        self._flusher: Flusher | None = None
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._listener: Listener = _nobody
        self._on_failure: Failed | None = None
        self._failed: LogFailed | None = None
        self._appended = 0
        self._checkpoint: asyncio.TimerHandle | asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, path: Path, durability: setup.Durability = "full") -> SqliteLog:
        """Open the prepared file at ``path`` and take its lock.

        Raises:
            LogError: another process has it, or it cannot be opened.
        """
        log = cls(path)
        log._lock.acquire()
        try:
            writer = await log._in_thread(Writer, path, durability)
            log._writer = writer
            if durability == "normal":
                log._inline, log._flusher = Inline(), Flusher(path, log._fail)
            reader = Reader(path)
            await reader
            log._reader = reader
            await reader.start()
        except sqlite3.Error as error:
            await log.close()
            raise setup.unusable(path, error) from error
        log.epoch, log.head, log.floor = writer.epoch, writer.head, writer.floor
        return log

    def listen(self, listener: Listener, failed: Failed | None = None) -> None:
        self._listener, self._on_failure = listener, failed

    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        assert self._writer is not None  # noqa: S101 - open() sets it
        if self._failed is not None:
            raise self._failed
        outcomes: list[Outcome]
        if any(submission.event.persist for submission in batch):
            try:
                outcomes = await self._write(self._writer, batch)
            except LogFailed as error:
                self._failed = error
                raise
            self.head, self.trouble = self._writer.head, self._writer.trouble
            self._appended += 1
            if self._flusher is not None:
                self._flusher.wrote(self._writer.wal.since_bytes)
            if self._writer.wal.since_bytes >= IDLE_BYTES and self._checkpoint is None:
                self._plan_checkpoint(self._writer)
        else:
            outcomes = [Appended(None)] * len(batch)
        accepted = [
            submission.event
            for submission, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, Appended) and not outcome.duplicate
        ]
        if accepted:
            self._listener(accepted)
        return outcomes

    async def _write(self, writer: Writer, batch: Sequence[Submission]) -> list[Outcome]:
        inline = self._inline
        # What the thread does with the connection comes first, and after a checkpoint the next commit may sync.
        if inline is not None and self._thread.is_idle and not writer.wal.may_sync:
            started_s = time.monotonic()
            if inline.takes(batch, started_s):
                try:
                    return writer.append(batch, wait=False)
                except Deferred:
                    pass  # to where waiting holds nobody up
                finally:
                    ended_s = time.monotonic()
                    inline.took(ended_s - started_s, ended_s)
        return await self._in_thread(writer.append, batch)

    async def probe(self) -> str | None:
        writer = self._writer
        if writer is not None and self._failed is None:
            try:
                await self._in_thread(writer.probe)
            except LogFailed as error:
                self._fail(error)
            self.trouble = writer.trouble
        return self.trouble

    async def read(self, query: Query) -> Page:
        if query.limit <= 0:
            return Page([], query.after, more=False)
        # Never beyond what the feed has told: the writer's thread may have committed more, and a cursor that had read
        # it would get it again when it is fed.
        upto = min(query.upto, self.head)
        reached = max(query.after, upto)
        events: list[Event] = []
        while True:
            found, cut = await self._select(msgspec.structs.replace(query, upto=upto))
            more = cut or len(found) == query.limit
            matching = [event for event in found if query.pattern is None or query.pattern.matches(event.channel)]
            if not query.newest:
                return Page(matching, (found[-1].seq or 0) if more else reached, more)
            events = matching[::-1][-(query.limit - len(events)) :] + events
            if cut or not more or len(events) == query.limit:
                return Page(events, reached, more)
            upto = (found[-1].seq or 1) - 1  # the statement found channels that the pattern does not match

    async def _select(self, query: Query) -> tuple[list[Event], bool]:
        assert self._reader is not None  # noqa: S101 - open() sets it
        try:
            found, cut = await self._reader.page(query)
        except sqlite3.Error as error:
            raise setup.unusable(self.path, error) from error
        return [rows.event_of(row) for row in found], cut

    async def channels(self) -> list[ChannelStats]:
        assert self._reader is not None  # noqa: S101 - open() sets it
        try:
            return await self._reader.channels()
        except sqlite3.Error as error:
            raise setup.unusable(self.path, error) from error

    async def with_writer(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Call ``function`` with the connection that writes, between two batches.

        Raises:
            LogError: the file cannot be used.
        """
        assert self._writer is not None  # noqa: S101 - open() sets it
        try:
            return await self._in_thread(self._writer.call, function)
        except sqlite3.Error as error:
            raise setup.unusable(self.path, error) from error

    async def start_of_last(self, pattern: Pattern, count: int) -> int:
        assert self._reader is not None  # noqa: S101 - open() sets it
        try:
            return await self._reader.start_of_last(pattern, count, self.head)
        except sqlite3.Error as error:
            raise setup.unusable(self.path, error) from error

    def gauges(self) -> dict[str, tuple[str, float]]:
        if self._writer is None:
            return {}
        wal = self._writer.wal
        return {
            "wal_bytes": ("Content of the write-ahead log at its last checkpoint.", wal.wal_bytes),
            "wal_held_bytes": ("What of it a reader keeps from being copied.", wal.held_bytes),
            "wal_new_bytes": ("Written since that checkpoint, about.", wal.since_bytes),
            "checkpoints": ("Checkpoints since the start.", wal.count),
        }

    async def prune(
        self, plan: Plan, progress: Callable[[int], None] | None = None, limit: int | None = None
    ) -> Pruned:
        assert self._reader is not None  # noqa: S101 - open() sets it
        removed = 0
        try:
            pruner = Pruner(await self._reader.call(last_to_go, plan), plan.before_ms)
            while (reader := self._reader) is not None and (writer := self._writer) is not None:
                if self._failed is not None:
                    raise self._failed
                upto = await reader.call(pruner.next, self.floor)
                if upto <= self.floor:
                    return Pruned(removed, done=True)
                # Before they go: a cursor that has read a page without them must find that they are not kept.
                self.floor = upto
                try:
                    gone, taken_s = await self._in_thread(writer.prune, upto)
                except LogError:
                    self.floor = writer.floor
                    raise
                pruner.took(taken_s)
                if self._flusher is not None:
                    self._flusher.wrote(writer.wal.since_bytes)
                removed += gone
                if self._checkpoint is None and writer.wal.since_bytes >= IDLE_BYTES:
                    self._plan_checkpoint(writer)
                if progress is not None:
                    progress(removed)
                if limit is not None and removed >= limit:
                    return Pruned(removed, done=False)
        except LogFailed as error:
            self._fail(error)
            raise
        except (sqlite3.Error, ValueError) as error:  # aiosqlite says ValueError of a connection that was closed
            raise setup.unusable(self.path, error) from error
        raise LogError(f"{self.path} was closed before all was removed")

    async def close(self) -> None:
        if isinstance(self._checkpoint, asyncio.TimerHandle):
            self._checkpoint.cancel()
        if self._flusher is not None:
            await self._flusher.close()  # first, since it may find that the log has failed
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        if writer is not None and (self._failed is not None or not await self._in_thread(writer.finish)):
            await self._in_thread(writer.abandon)  # before the reader
            writer = None
        if reader is not None:
            await reader.close()
        if writer is not None:  # last, so that its checkpoint meets no reader
            await self._in_thread(writer.close)
        self._thread.close()
        self._lock.release()

    # ------------------------------------------------------------------------------------------- checkpoints

    def _plan_checkpoint(self, writer: Writer) -> None:
        """Checkpoint now if too much has piled up, else in the next pause."""
        if writer.wal.since_bytes >= BUSY_BYTES:
            self._start_checkpoint(writer)
        else:
            loop = asyncio.get_running_loop()
            self._checkpoint = loop.call_later(_PAUSE_S, self._look_for_pause, writer, self._appended)

    def _look_for_pause(self, writer: Writer, appended: int) -> None:
        self._checkpoint = None
        if self._writer is None or writer.wal.since_bytes < IDLE_BYTES:
            return
        if self._appended == appended:
            self._start_checkpoint(writer)
        else:
            self._plan_checkpoint(writer)

    def _start_checkpoint(self, writer: Writer) -> None:
        self._checkpoint = self._in_thread(writer.checkpoint)
        self._checkpoint.add_done_callback(self._checkpointed)

    def _checkpointed(self, done: asyncio.Future[None]) -> None:
        self._checkpoint = None
        if not done.cancelled() and isinstance(error := done.exception(), LogFailed):
            self._fail(error)

    def _fail(self, error: LogFailed) -> None:
        if self._failed is None:
            self._failed = error
            if self._on_failure is not None:
                self._on_failure(error)

    def _in_thread(self, function: Callable[..., R], *args: object) -> asyncio.Future[R]:
        return self._thread.call(function, *args)


def _nobody(events: list[Event]) -> None:
    """The feed before anybody listens."""
