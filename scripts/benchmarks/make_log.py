"""Fill a new log with chat messages. Usage: make_log.py FILE ROWS CHANNELS, with the interpreter that has chatkit.

Plain SQL around the log's own schema and rows, indexes made at the end and ids in order: ten million rows take minutes,
where sending them would take the better part of an hour.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from chatkit import wire
from chatkit.log import rows as log_rows
from chatkit.log.base import Submission
from chatkit.log.setup import prepare
from chatkit.model import CHAT_MESSAGE, Event

STARTED_MS = 1_700_000_000_000


def messages(count: int, channels: int) -> Iterator[tuple[object, ...]]:
    for seq in range(1, count + 1):
        identity = f"{STARTED_MS + seq:012x}"
        identity = f"{identity[:8]}-{identity[8:]}-7000-8000-{seq:012x}"
        channel, user, text, at = (
            f"chat/{seq % channels}",
            f"u{seq % 50}",
            f"message {seq} of a long conversation",
            STARTED_MS + seq,
        )
        data = wire.message_data(identity, user, text, at)
        event = Event(channel, CHAT_MESSAGE, identity, user, at, data)
        yield log_rows.parameters(Submission(event, text, derived=True), seq, at)


def main(path: str, count: int, channels: int) -> None:
    prepare(Path(path))
    with sqlite3.connect(path, isolation_level=None) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {pragma}")
        width = log_rows.COLUMNS.count(",") + 1
        insert = f"INSERT INTO messages ({log_rows.COLUMNS}) VALUES ({','.join('?' * width)})"
        later = [
            (kind, name, sql)
            for kind, name, sql in connection.execute(
                "SELECT type, name, sql FROM sqlite_master "
                "WHERE tbl_name = 'messages' AND type IN ('index', 'trigger') AND sql IS NOT NULL"
            )
        ]
        connection.execute("BEGIN")
        for kind, name, _ in later:
            connection.execute(f"DROP {kind} {name}")
        connection.executemany(insert, messages(count, channels))
        for _, _, sql in later:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA locking_mode = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
