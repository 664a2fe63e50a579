"""The one connection that writes: a batch is a transaction.

Everything here is plain blocking code. It runs on the writer's thread, but for what :meth:`Writer.append` can do without
waiting for anything, which may be asked for on the event loop.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ..errors import LogBusy, LogError, LogFailed, LogFull, Refused
from . import opening, room, rows, setup
from .base import Appended, Outcome, Submission
from .checkpoint import COMMIT_BYTES, ROW_BYTES, Checkpointer, described
from .maintenance.pruning import remove

logger = logging.getLogger("chatkit.log")

#: How long after the disk was found full a failed write is still put down to that.
_FULL_SPELL_S: Final = 1.0

R = TypeVar("R")

_CONFLICT: Final = "the id {id!r} exists with other content; a retry sends the same content, a new message a new id"


class Deferred(Exception):
    """Nothing was stored, since that takes more time than there is: ask again where it may wait."""


class Writer:
    """Appends batches to the file.

    Attributes:
        epoch, head, floor: as in :class:`~chatkit.log.base.Log`.
        wal: what is known about the write-ahead log.
        trouble: as in :class:`~chatkit.log.base.Log`.
    """

    def __init__(self, path: Path, durability: setup.Durability) -> None:
        self._path = path
        wal_was_there = opening.has_wal(path)
        self._connection = setup.connect(path)
        self._run = self._connection.execute
        self._run("PRAGMA journal_mode = WAL")
        self._run(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        self._run("PRAGMA cache_size = -32768")
        self._run("PRAGMA temp_store = MEMORY")
        self.wal = Checkpointer(self._run, path)
        boot = opening.boot_id()
        why = opening.missing(self._run, wal_was_there, boot)
        if why is not None:
            logger.warning("%s: %s; the log goes on as another one (a new epoch)", path, why)
            opening.renew_epoch(self._run)
        try:
            opening.mark_open(self._run, durability, boot)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            logger.warning("%s: the disk is full", path)  # what there is can still be read
        meta = dict(self._run("SELECT key, value FROM meta"))
        self.epoch: str = meta["epoch"]
        self.floor: int = meta["floor"]
        self.head = self._load_head()
        self.trouble: str | None = None
        self._full_at_s = -math.inf
        self._waits = True  # for locks of other programs

    def append(self, batch: Sequence[Submission], *, wait: bool = True) -> list[Outcome]:
        """Commit the persisted events of ``batch`` in one transaction; see :meth:`Log.append`.

        Args:
            batch: what to accept.
            wait: whether it may take its time: wait for another program's write lock, for
                :data:`~chatkit.log.setup.PATIENCE_MS` at most, or read what has the ids that are stored already.

        Raises:
            LogFailed: the outcome is unknown, or the connection cannot write.
            Deferred: it would take its time, and may not.
        """
        self._wait_for_locks(wait)
        persisted = [submission for submission in batch if submission.event.persist]
        outcomes: list[Outcome]
        try:
            outcomes = self._commit(persisted, wait=wait)
        except LogFull as error:
            self.trouble = str(error)
            outcomes = [Refused("disk_full", str(error), retry_after_s=5)] * len(persisted)
        except LogBusy as error:
            if not wait:
                raise Deferred from error
            self.trouble = str(error)
            outcomes = [Refused("unavailable", str(error), retry_after_s=1)] * len(persisted)
        except (LogFailed, Deferred):
            raise
        except Exception:  # one that cannot be bound, say: whatever it is, it must not end the server
            logger.exception("a batch of %d could not be stored", len(persisted))
            self._start_over()
            outcomes = [Refused("internal", "the message could not be stored; the server's log says how")] * len(
                persisted
            )
        if len(outcomes) == len(batch):
            return outcomes
        stored = iter(outcomes)
        return [next(stored) if submission.event.persist else Appended(None) for submission in batch]

    def _wait_for_locks(self, wait: bool) -> None:
        if wait != self._waits:
            self._run(f"PRAGMA busy_timeout = {setup.PATIENCE_MS if wait else 0}")
            self._waits = wait

    def _commit(self, batch: list[Submission], *, wait: bool) -> list[Outcome]:
        if not batch:
            return []
        try:
            try:
                return self._insert(batch)
            except sqlite3.IntegrityError:  # an id is there already: the rare case pays for telling which
                self._rollback()
                if not wait:
                    raise Deferred from None
                return self._insert_new(batch)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> LogError:
        """What a failed transaction means, after it was rolled back."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            self._start_over()
            return LogBusy(f"another program holds the write lock of {self._path}; retry with the same id")
        if code & 0xFF == sqlite3.SQLITE_FULL or (code in room.MAYBE_FULL and self._had_no_room()):
            self._start_over()
            return LogFull(f"no room for {self._path}; nothing was stored, retry with the same id")
        self._rollback()
        return LogFailed(f"writing {self._path} failed: {described(error)}")

    def _had_no_room(self) -> bool:
        """Whether a write may have failed for want of room; there may be some again by the time this is asked."""
        now_s = time.monotonic()
        if not room.is_left(self._path):
            self._full_at_s = now_s
        return now_s - self._full_at_s < _FULL_SPELL_S

    def _start_over(self) -> None:
        """After a failed transaction the head is what the file says, not what we remember.

        Raises:
            LogFailed: the file cannot be read either.
        """
        self._rollback()
        try:
            self.head = self._load_head()
        except sqlite3.Error as error:
            raise LogFailed(f"reading {self._path} failed: {described(error)}") from error

    def _insert(self, batch: list[Submission]) -> list[Outcome]:
        run, head, stored_at = self._run, self.head, time.time_ns() // 1_000_000
        start, count = 0, len(batch)
        if not (alone := count in rows.INSERTS):  # one statement is a transaction of its own
            run("BEGIN IMMEDIATE")
        while start < count:
            size = min(1 << ((count - start).bit_length() - 1), rows.MAX_ROWS)
            values: list[Any] = []
            for offset in range(start, start + size):
                values += rows.parameters(batch[offset], head + 1 + offset, stored_at)
            run(rows.INSERTS[size], values)
            start += size
        if not alone:
            run("COMMIT")
        self.head = head + count
        self.trouble = None
        self.wal.since_bytes += (
            COMMIT_BYTES + ROW_BYTES * count + sum([len(submission.event.data) for submission in batch])
        )
        self.wal.may_sync = False
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

    def probe(self) -> None:
        """Write something that changes nothing; see :meth:`Log.probe`.

        Raises:
            LogFailed: as :meth:`append`.
        """
        self._wait_for_locks(True)
        if not room.is_left(self._path):  # what is written next needs little room, a message may need more
            self.trouble = f"no room for {self._path}"
            return
        try:
            self._run("BEGIN IMMEDIATE")
            self._run("UPDATE meta SET value = value WHERE key = 'floor'")
            self._run("COMMIT")
        except sqlite3.Error as error:
            failed = self._failed(error)
            self.trouble = str(failed)
            if isinstance(failed, LogFailed):
                raise failed from error
        else:
            self.trouble = None

    def checkpoint(self) -> None:
        """Bring the WAL back into the file; see :meth:`Checkpointer.checkpoint`."""
        self._wait_for_locks(True)
        self.wal.checkpoint()

    def prune(self, upto: int) -> tuple[int, float]:
        """One step; see :func:`~chatkit.log.maintenance.pruning.remove`.

        Raises:
            LogError: nothing was removed.
        """
        self._wait_for_locks(True)
        try:
            removed, taken_s = remove(self._run, upto)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self.floor = upto
        self.wal.since_bytes += COMMIT_BYTES + removed * 2 * ROW_BYTES
        return removed, taken_s

    def finish(self) -> bool:
        """Write into the file that the log is complete; whether that could be done."""
        self._wait_for_locks(True)
        try:
            opening.mark_closed(self._run)
        except sqlite3.Error as error:  # nothing is lost: the next open finds a log that was not closed
            self._rollback()
            logger.warning("%s could not be closed properly: %s", self._path, described(error))
            return False
        return True

    def call(self, function: Callable[[sqlite3.Connection], R]) -> R:
        """Call ``function`` with the connection, outside of any transaction."""
        self._wait_for_locks(True)
        return function(self._connection)

    def close(self) -> None:
        """Checkpoint the whole WAL into the file and close it; after :meth:`finish`."""
        try:
            self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:  # the WAL stays and is replayed at the next open: nothing is lost
            pass
        self._connection.close()

    def abandon(self) -> None:
        """Close and leave the WAL as it is: what is on the disk is unknown, so nothing is copied.

        While another connection is open, closing does not checkpoint, and one that only reads never does.
        """
        self._rollback()
        self._connection.close()
