"""The connection that reads: pages of events, and where they begin. Its thread is aiosqlite's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from ..model import Pattern
from . import rows
from .base import Query

R = TypeVar("R")

Run = Callable[..., sqlite3.Cursor]


class Reader(aiosqlite.Connection):
    """A connection that cannot write, and so never checkpoints.

    Each read is one hop to its thread and one short transaction: a snapshot that is held keeps the WAL from starting
    over.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: connect(path), iter_chunk_size=64)

    async def start(self) -> None:
        """Read something, so that from here on the WAL is in use for as long as this connection is open."""
        await self.call(_start)

    async def page(self, query: Query) -> tuple[list[Any], bool]:
        """The rows of a page, and whether it ends early because of their weight."""
        return await self.call(_page, query)

    async def start_of_last(self, pattern: Pattern, count: int, head: int) -> int:
        """See :meth:`~chatkit.log.base.Log.start_of_last`."""
        return await self.call(_start_of_last, pattern, count, head)

    async def call(self, function: Callable[..., R], *args: object) -> R:
        """``function(execute, *args)`` on this connection's thread."""
        found: R = await self._execute(function, self._conn.execute, *args)  # type: ignore[no-untyped-call]
        return found


def connect(path: Path) -> sqlite3.Connection:
    """A plain connection that only reads; it makes the WAL's files where there are none, and never the database."""
    name = path.absolute().as_uri() + "?mode=ro"
    return sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False, timeout=5)


def _start(run: Run) -> None:
    run("SELECT count(*) FROM meta").fetchone()


def _page(run: Run, query: Query) -> tuple[list[Any], bool]:
    sql, values = rows.select(query)
    cursor = run(sql, values)
    if query.max_bytes is None:
        return cursor.fetchall(), False
    found, size = [], 0
    try:
        for row in cursor:
            found.append(row)
            size += len(row[rows.TEXT]) + len(row[rows.DATA] or "")
            if size >= query.max_bytes:
                return found, True
    finally:
        cursor.close()
    return found, False


def _start_of_last(run: Run, pattern: Pattern, count: int, head: int) -> int:
    sql, values = rows.select_positions(pattern, head)
    cursor = run(sql, values)
    start = head
    try:
        for seq, channel in cursor:
            if pattern.matches(channel):
                start = seq - 1
                count -= 1
                if not count:
                    break
    finally:
        cursor.close()
    return start
