"""Fill a new log with chat messages. Usage: make_log.py FILE ROWS CHANNELS, with the interpreter that has chatkit.

Plain SQL around the log's own schema and row checksums; the unique index is fed in order (ids are ordered), so that ten
million rows take a minute or two.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from chatkit.log import rows as log_rows
from chatkit.log.setup import prepare

STARTED_MS = 1_700_000_000_000


def messages(count: int, channels: int) -> Iterator[tuple[object, ...]]:
    for seq in range(1, count + 1):
        identity = f"{STARTED_MS + seq:012x}"
        identity = f"{identity[:8]}-{identity[8:]}-7000-8000-{seq:012x}"
        room = str(seq % channels)
        channel, user, text, at = (
            f"chat/{room}",
            f"u{seq % 50}",
            f"message {seq} of a long conversation",
            STARTED_MS + seq,
        )
        checksum = log_rows.checksum(identity, channel, user, "chat:message", text, None, at)
        yield seq, identity, channel, room, user, "chat:message", text, None, at, at, checksum


def main(path: str, count: int, channels: int) -> None:
    prepare(Path(path))
    with sqlite3.connect(path, isolation_level=None) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "locking_mode = EXCLUSIVE"):
            connection.execute(f"PRAGMA {pragma}")
        width = log_rows.COLUMNS.count(",") + 1
        insert = f"INSERT INTO messages ({log_rows.COLUMNS}) VALUES ({','.join('?' * width)})"
        later = [
            (name, sql)
            for name, sql in connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
            )
        ]
        connection.execute("BEGIN")
        for name, sql in later:
            connection.execute(f"DROP {sql.split()[1]} {name}")
        connection.executemany(insert, messages(count, channels))
        for _, sql in later:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA locking_mode = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
