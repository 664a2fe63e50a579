"""The log in an SQLite file in WAL mode: one thread writes, one reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import aiosqlite
import msgspec

from ..errors import LogFailed
from ..model import Event
from . import rows, setup
from .base import Appended, ChannelStats, Listener, Log, Outcome, Page, Query, Submission
from .lock import FileLock
from .writer import Writer

R = TypeVar("R")

_CHANNELS = """
SELECT m.channel, events, last_seq, created_at
FROM (SELECT count(*) AS events, max(seq) AS last_seq FROM messages GROUP BY channel) JOIN messages AS m
ON m.seq = last_seq ORDER BY m.channel
"""


class SqliteLog(Log):
    """A :class:`~chatkit.log.base.Log` in a file.

    A batch is one hop to the writer's thread. Reads have a connection of their own, through aiosqlite, whose short
    transactions see only what is committed and never hold the writer up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epoch, self.head, self.floor = "", 0, 0
        self._lock = FileLock(path)
        self._thread = ThreadPoolExecutor(1, "chatkit-log-writer")
        self._writer: Writer | None = None
        self._reader: aiosqlite.Connection | None = None
        self._listener: Listener = _nobody
        self._failed: LogFailed | None = None

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
            log._reader = await aiosqlite.connect(path, isolation_level=None, cached_statements=64)
            await log._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            await log.close()
            raise setup.unusable(path, error) from error
        log.epoch, log.head, log.floor = writer.epoch, writer.head, writer.floor
        return log

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        assert self._writer is not None  # noqa: S101 - open() sets it
        if self._failed is not None:
            raise self._failed
        outcomes: list[Outcome]
        if any(submission.event.persist for submission in batch):
            try:
                outcomes = await self._in_thread(self._writer.append, batch)
            except LogFailed as error:
                self._failed = error
                raise
            self.head = self._writer.head
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

    async def read(self, query: Query) -> Page:
        if query.limit <= 0:
            return Page([], query.after, more=False)
        # Never beyond what the feed has told: the writer's thread may have committed more, and a cursor that had read
        # it would get it again when it is fed.
        upto = min(query.upto, self.head)
        reached = max(query.after, upto)
        events: list[Event] = []
        while True:
            found = await self._select(msgspec.structs.replace(query, upto=upto))
            more = len(found) == query.limit
            matching = [event for event in found if query.pattern is None or query.pattern.matches(event.channel)]
            if not query.newest:
                return Page(matching, (found[-1].seq or 0) if more else reached, more)
            events = matching[::-1][-(query.limit - len(events)) :] + events
            if not more or len(events) == query.limit:
                return Page(events, reached, more)
            upto = (found[-1].seq or 1) - 1  # the statement found channels that the pattern does not match

    async def _select(self, query: Query) -> list[Event]:
        assert self._reader is not None  # noqa: S101 - open() sets it
        sql, values = rows.select(query)
        try:
            return [rows.event_of(row) for row in await self._reader.execute_fetchall(sql, values)]
        except sqlite3.Error as error:
            raise setup.unusable(self.path, error) from error

    async def channels(self) -> list[ChannelStats]:
        assert self._reader is not None  # noqa: S101 - open() sets it
        try:
            return [ChannelStats(*row) for row in await self._reader.execute_fetchall(_CHANNELS)]
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

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()
        writer, self._writer = self._writer, None
        if writer is not None:  # last, so that its checkpoint meets no reader
            await self._in_thread(writer.close)
        self._thread.shutdown()
        self._lock.release()

    def _in_thread(self, function: Callable[..., R], *args: object) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


def _nobody(events: list[Event]) -> None:
    """The feed before anybody listens."""
