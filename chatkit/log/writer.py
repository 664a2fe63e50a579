"""The one connection that writes: a batch is a transaction.

Everything here runs on the writer's thread, which makes it plain blocking code.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ..errors import LogFailed, LogFull, Refused
from . import rows, setup
from .base import Appended, Outcome, Submission

R = TypeVar("R")

#: Pages of WAL after which SQLite checkpoints: 4 MiB of 4 KiB pages is the default, ours is 16 MiB, so that under
#: load the database file is synced four times less often.
_AUTOCHECKPOINT_PAGES: Final = 4096

_CONFLICT: Final = "the id {id!r} exists with other content; a retry sends the same content, a new message a new id"


class Writer:
    """Appends batches to the file.

    Attributes:
        epoch, head, floor: as in :class:`~chatkit.log.base.Log`.
    """

    def __init__(self, path: Path, durability: setup.Durability) -> None:
        self._path = path
        self._connection = setup.connect(path)
        self._run = self._connection.execute
        self._run("PRAGMA journal_mode = WAL")
        self._run(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        self._run(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
        self._run("PRAGMA cache_size = -32768")
        self._run("PRAGMA temp_store = MEMORY")
        meta = dict(self._run("SELECT key, value FROM meta"))
        self.epoch: str = meta["epoch"]
        self.floor: int = meta["floor"]
        self.head = self._load_head()

    def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        """Commit the persisted events of ``batch`` in one transaction; see :meth:`Log.append`.

        Raises:
            LogFailed: the outcome is unknown, or the connection cannot write.
        """
        persisted = [submission for submission in batch if submission.event.persist]
        try:
            outcomes = self._commit(persisted)
        except LogFull as error:
            refusal = Refused("disk_full", str(error), retry_after_s=5)
            outcomes = [refusal] * len(persisted)
        if len(outcomes) == len(batch):
            return outcomes
        stored = iter(outcomes)
        return [next(stored) if submission.event.persist else Appended(None) for submission in batch]

    def _commit(self, batch: list[Submission]) -> list[Outcome]:
        if not batch:
            return []
        try:
            try:
                return self._insert(batch)
            except sqlite3.IntegrityError:  # an id is there already: the rare case pays for telling which
                self._rollback()
                return self._insert_new(batch)
        except sqlite3.Error as error:
            self._rollback()
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
                # SQLite has rolled back; what the counter should be is what the file says, not what we remember.
                self.head = self._load_head()
                raise LogFull(f"no room for {self._path}; nothing was stored, retry with the same id") from error
            raise LogFailed(f"writing {self._path} failed: {error} ({error.sqlite_errorname})") from error

    def _insert(self, batch: list[Submission]) -> list[Outcome]:
        run, head, stored_at = self._run, self.head, time.time_ns() // 1_000_000
        run("BEGIN IMMEDIATE")
        start, count = 0, len(batch)
        while start < count:
            size = min(1 << ((count - start).bit_length() - 1), rows.MAX_ROWS)
            values: list[Any] = []
            for offset in range(start, start + size):
                values += rows.parameters(batch[offset], head + 1 + offset, stored_at)
            run(rows.INSERTS[size], values)
            start += size
        run("COMMIT")
        self.head = head + count
        outcomes: list[Outcome] = []
        for seq, submission in enumerate(batch, head + 1):
            submission.event.seq = seq
            outcomes.append(Appended(seq))
        return outcomes

    def _insert_new(self, batch: list[Submission]) -> list[Outcome]:
        """The same for a batch in which some ids are in the log, or in the batch twice."""
        first: dict[str, Submission] = {}
        for submission in batch:
            first.setdefault(submission.event.id, submission)
        ids = list(first)
        stored = {}
        for start in range(0, len(ids), rows.MAX_ROWS):
            chunk = ids[start : start + rows.MAX_ROWS]
            for row in self._run(rows.select_ids(len(chunk)), chunk):
                stored[row[1]] = rows.event_of(row)
        new = [submission for event_id, submission in first.items() if event_id not in stored]
        if new:
            self._insert(new)
        return [self._resolve(submission, first, stored) for submission in batch]

    def _resolve(self, submission: Submission, first: dict[str, Submission], stored: dict[str, Any]) -> Outcome:
        event_id = submission.event.id
        known = stored.get(event_id)
        if known is None:
            known = first[event_id].event
            if known is submission.event:
                return Appended(known.seq)
        if rows.same_content(known, submission):
            return Appended(known.seq, duplicate=True)
        return Refused("id_conflict", _CONFLICT.format(id=event_id))

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._run("ROLLBACK")
            except sqlite3.Error:  # nothing is acknowledged either way, and the caller reports the first error
                return

    def _load_head(self) -> int:
        row = self._run("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
        return int(row[0]) if row else 0

    def call(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Call ``function`` with the connection, outside of any transaction."""
        return function(self._connection)

    def close(self) -> None:
        """Checkpoint the whole WAL into the file and close it."""
        try:
            self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:  # the WAL stays and is replayed at the next open: nothing is lost
            pass
        self._connection.close()
