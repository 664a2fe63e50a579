"""Events as rows of the ``messages`` table, and back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .. import wire
from ..model import CHAT_MESSAGE, Event, Pattern, room_of
from .base import Query, Submission

#: The columns of an insert, in order; ``seq`` first.
COLUMNS: Final = "seq, id, channel, room_id, user_id, event, text, data, created_at, stored_at, checksum"  # fmt: skip
_WIDTH: Final = COLUMNS.count(",") + 1
_SELECT: Final = "SELECT seq, id, channel, user_id, event, text, data, created_at FROM messages"

#: The place of the text in a row of :func:`select`.
TEXT: Final = 5

#: Rows of one INSERT statement at most: 11 columns of it stay far below SQLite's 32,766 parameters.
MAX_ROWS: Final = 256


def insert_sql(rows: int) -> str:
    """One statement that inserts ``rows`` rows, which is one step of SQLite and one release of the interpreter lock.

    ``executemany`` releases the lock for every row, and with a busy event loop getting it back each time costs more
    than the insert.
    """
    row = f"({','.join('?' * _WIDTH)})"
    return f"INSERT INTO messages ({COLUMNS}) VALUES {','.join([row] * rows)}"


#: Statements for 1, 2, 4 ... rows: any batch is a few of them, and all of them stay prepared.
INSERTS: Final = {1 << n: insert_sql(1 << n) for n in range(MAX_ROWS.bit_length())}


def parameters(submission: Submission, seq: int, stored_at: int) -> tuple[Any, ...]:
    """One row; ``stored_at`` in Unix milliseconds."""
    event = submission.event
    data = None if submission.derived else event.data.decode()
    return (
        seq,
        event.id,
        event.channel,
        room_of(event.channel),
        event.user_id,
        event.event,
        submission.text,
        data,
        event.timestamp,
        stored_at,
        checksum(event, submission.text),
    )


def checksum(event: Event, text: str) -> int:
    """CRC-32 over everything that was sent, to find a byte that flipped on the disk."""
    columns = f"{event.id}\0{event.channel}\0{event.user_id}\0{event.event}\0{event.timestamp}\0{text}"
    return zlib.crc32(event.data, zlib.crc32(columns.encode()))


#: Rows with their checksum, after a position.
SELECT_CHECKED: Final = (
    "SELECT seq, id, channel, user_id, event, text, data, created_at, checksum FROM messages "
    "WHERE seq > ? ORDER BY seq LIMIT ?"
)


def is_as_stored(row: Sequence[Any]) -> bool:
    """Whether a row of :data:`SELECT_CHECKED` is what was written; texts may be decoded with ``surrogateescape``."""
    try:
        return bool(checksum(event_of(row[:-1]), row[TEXT]) == row[-1])
    except (TypeError, ValueError, AttributeError):  # a column of another type, or text that is not UTF-8
        return False


#: A row of :func:`select`.
Row = tuple[int, str, str, str, str, str, str | None, int]


def weight(row: Row) -> int:
    """Characters of its text and data, which is about what the rest of it is little beside."""
    return len(row[5]) + len(row[6] or "")


decode: Final = msgspec.json.Decoder(list[Row]).decode


def event_of(row: Sequence[Any]) -> Event:
    """An event from a row of :func:`select`."""
    seq, event_id, channel, user_id, name, text, data, created_at = row
    payload = wire.message_data(event_id, user_id, text, created_at) if data is None else data.encode()
    return Event(channel, name, event_id, user_id, created_at, payload, seq)


def select(query: Query) -> tuple[str, list[Any]]:
    """The statement and parameters that read a page; its channels may be more than the pattern's.

    GLOB's ``*`` also matches ``/``. Counting the slashes makes up for it, except where a ``*`` and a ``**`` have a
    name between them, so the caller still asks :meth:`Pattern.matches`. The grammar of channels has none of GLOB's
    other special characters.
    """
    where, values = ["seq > ?", "seq <= ?"], [query.after, query.upto]
    conditions: list[tuple[str, Any]] = [
        *_channel_conditions(query.pattern),
        ("created_at >= ?", query.since),
        ("created_at < ?", query.until),
        ("user_id = ?", query.user),
        ("event = ?", query.event),
    ]
    for condition, value in conditions:
        if value is not None:
            where.append(condition)
            values.append(value)
    values.append(query.limit)
    order = "DESC" if query.newest else "ASC"
    return f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?", values


def as_json(sql: str) -> str:
    """``sql``, a :func:`select`, as a statement that gives its rows as one JSON text; see :func:`decode`."""
    return f"SELECT json_group_array(json_array(seq, id, channel, user_id, event, text, data, created_at)) FROM ({sql})"


def select_positions(pattern: Pattern, upto: int) -> tuple[str, list[Any]]:
    """The statement that reads position and channel, newest first; its channels may be more than the pattern's."""
    conditions = [("seq <= ?", upto), *_channel_conditions(pattern)]
    where = " AND ".join(condition for condition, _ in conditions)
    return (
        f"SELECT seq, channel FROM messages WHERE {where} ORDER BY seq DESC",
        [value for _, value in conditions],
    )


def select_ids(count: int) -> str:
    """The statement that finds ``count`` ids."""
    return f"{_SELECT} WHERE id IN ({','.join('?' * count)})"


def is_exact(pattern: Pattern) -> bool:
    """Whether the statements find the channels of ``pattern`` and no others."""
    return pattern.parts[-1] != "**" or "*" not in pattern.parts[:-1]


def _channel_conditions(pattern: Pattern | None) -> list[tuple[str, Any]]:
    if pattern is None:
        return []
    if pattern.is_channel:
        return [("channel = ?", pattern.text)]
    compare = ">=" if pattern.parts[-1] == "**" else "="
    slashes = f"length(channel) - length(replace(channel, '/', '')) {compare} ?"
    return [("channel GLOB ?", pattern.text.replace("**", "*")), (slashes, len(pattern.parts) - 1)]


def same_content(stored: Event, submission: Submission) -> bool:
    """Whether a submission repeats a stored event: same author, channel, name and JSON value.

    A timestamp that the server set is not content: a retry that leaves it out is still the same message.
    """
    event = submission.event
    if (stored.channel, stored.event, stored.user_id) != (event.channel, event.event, event.user_id):
        return False
    if submission.timestamp_given and stored.timestamp != event.timestamp:
        return False
    if stored.data == event.data:
        return True
    try:
        old, new = wire.anything.decode(stored.data), wire.anything.decode(event.data)
        if (
            event.event == CHAT_MESSAGE
            and not submission.timestamp_given
            and isinstance(old, dict)
            and isinstance(new, dict)
        ):
            old, new = {**old, "timestamp": None}, {**new, "timestamp": None}
        return wire.same_json(old, new)
    except RecursionError:  # nested to the very limit: not the same, as far as can be told
        return False
