"""The connection that reads: pages of events, and where they begin. Its thread is aiosqlite's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite
import msgspec

from ..model import Pattern
from . import rows
from .base import ChannelStats, Query

R = TypeVar("R")

Run = Callable[..., sqlite3.Cursor]

#: Rows of one step: what is read in vain at most, when a page ends because of its weight.
_CHUNK_ROWS: Final = 100

_CHANNELS: Final = """
SELECT json_group_array(json_array(m.channel, events, last_seq, created_at))
FROM (SELECT count(*) AS events, max(seq) AS last_seq FROM messages GROUP BY channel ORDER BY channel)
JOIN messages AS m ON m.seq = last_seq
"""
_decode_channels: Final = msgspec.json.Decoder(list[tuple[str, int, int, int]]).decode


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

    async def page(self, query: Query) -> tuple[list[rows.Row], bool]:
        """The rows of a page, and whether it ends early because of their weight."""
        return await self.call(_page, query)

    async def channels(self) -> list[ChannelStats]:
        """See :meth:`~chatkit.log.base.Log.channels`."""
        return await self.call(_channels)

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


def _page(run: Run, query: Query) -> tuple[list[rows.Row], bool]:
    found: list[rows.Row] = []
    size, rest = 0, query
    while len(found) < query.limit:
        chunk = min(query.limit - len(found), _CHUNK_ROWS)
        sql, values = rows.select(msgspec.structs.replace(rest, limit=chunk))
        got = _in_one_step(run, sql, values)
        for row in got:
            found.append(row)
            size += rows.weight(row)
            if query.max_bytes is not None and size >= query.max_bytes:
                return found, True
        if len(got) < chunk:
            break
        seq = got[-1][0]
        rest = msgspec.structs.replace(rest, **({"upto": seq - 1} if query.newest else {"after": seq}))
    return found, False


def _in_one_step(run: Run, sql: str, values: list[Any]) -> list[rows.Row]:
    """All rows of ``sql``, as one value that SQLite makes.

    A step of SQLite gives the interpreter lock away, and with a busy event loop having it back takes up to the switch
    interval, 5 ms: a page of 300 rows, fetched one by one, took a second and more.
    """
    return _one_value(run, rows.as_json(sql), values, rows.decode)


def _one_value(run: Run, sql: str, values: list[Any], decode: Callable[[str], R]) -> R:
    [(text,)] = run(sql, values).fetchall()
    try:
        return decode(text)
    except msgspec.MsgspecError as error:  # a column of another type: the file is damaged, or somebody else wrote to it
        raise sqlite3.DatabaseError(f"a row cannot be read: {error}") from error


def _channels(run: Run) -> list[ChannelStats]:
    return [ChannelStats(*row) for row in _one_value(run, _CHANNELS, [], _decode_channels)]


def _start_of_last(run: Run, pattern: Pattern, count: int, head: int) -> int:
    sql, values = rows.select_positions(pattern, head)
    if rows.is_exact(pattern):
        found = run(f"{sql} LIMIT 1 OFFSET ?", [*values, count - 1]).fetchall()
        if found:
            return int(found[0][0]) - 1
        first = run(f"SELECT min(seq) FROM ({sql})", values).fetchall()[0][0]
        return head if first is None else int(first) - 1
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
