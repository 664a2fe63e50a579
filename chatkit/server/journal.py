"""Group commit: what arrives while one batch commits is the next batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from ..errors import LogFailed, Refused
from ..log.base import Log, Outcome, Submission
from .counters import Commits

logger = logging.getLogger("chatkit.server")

_UNTOLD: Final = "telling a sender what became of its event failed"

#: Events of one transaction at most, so that a flood does not make one commit, and one write to each subscriber, last
#: for a noticeable time.
_MAX_BATCH: Final = 4096

#: What a submission weighs beside its data.
_SUBMISSION_BYTES: Final = 512

#: Called once, on the loop, with what was submitted and its outcome, after the event was fed to its subscribers.
Done = Callable[[Submission, Outcome], None]


class Journal:
    """The one path into the log.

    It never waits to fill a batch. Idle, a send costs one small transaction; under load the batches grow by
    themselves, and a transaction, an fsync and a socket write are shared by everything in them. Ephemeral events
    take the same path, so that an author's events keep their order.

    Args:
        log: where batches go.
        max_bytes: how much may wait for a commit; past it, submissions are refused.
    """

    def __init__(self, log: Log, max_bytes: int) -> None:
        self._log = log
        self._max_bytes = max_bytes
        self._queue: list[tuple[Submission, Done]] = []
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._open = True
        self.failure: LogFailed | None = None
        self.commits = Commits()

    @property
    def accepts(self) -> bool:
        """Whether a submission would be taken now."""
        return self._open and self._queued_bytes <= self._max_bytes

    def submit(self, submission: Submission, done: Done) -> None:
        """Queue an event.

        Args:
            submission: what to accept.
            done: see :data:`Done`.

        Raises:
            Refused: ``unavailable``, nothing was queued: overloaded, stopping or failed.
        """
        if self._queued_bytes > self._max_bytes or not self._open:
            raise self._refusal()
        queue = self._queue
        if not queue:
            self._arrived.set()
        queue.append((submission, done))
        self._queued_bytes += len(submission.event.data) + _SUBMISSION_BYTES

    async def run(self) -> None:
        """Commit batches until :meth:`drain`.

        Raises:
            LogFailed: the log cannot be written any more; everything that waited has been refused.
        """
        while True:
            if self.failure is not None:
                waiting, self._queue = self._queue, []
                for submission, done in waiting:
                    self._tell(done, submission, self._refusal())
                raise self.failure
            if not self._queue:
                if not self._open:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            batch, self._queue = self._queue[:_MAX_BATCH], self._queue[_MAX_BATCH:]
            self._queued_bytes -= sum([len(submission.event.data) + _SUBMISSION_BYTES for submission, _ in batch])
            if not batch:
                continue
            started_s = time.perf_counter()
            try:
                outcomes = await self._log.append([submission for submission, _ in batch])
            except Exception as error:  # LogFailed, or a fault of ours after the commit: the outcome is unknown
                self._stop(
                    error if isinstance(error, LogFailed) else LogFailed(f"handing out a batch failed: {error!r}")
                )
                waiting, self._queue = batch + self._queue, []
                for submission, done in waiting:
                    self._tell(done, submission, self._refusal())
                raise
            self.commits.add(len(batch), time.perf_counter() - started_s)
            for (submission, done), outcome in zip(batch, outcomes, strict=True):
                try:
                    done(submission, outcome)
                except Exception:
                    logger.exception(_UNTOLD)
            if self._queue:
                # A turn for the others: the log need not have given them one, and answers may have brought requests. What
                # is read in it joins the batch, which makes batches twice as large where the senders outrun the disk.
                await asyncio.sleep(0)

    def fail(self, error: LogFailed) -> None:
        """The log has failed between two batches: take no more, and end :meth:`run`."""
        self._stop(error)
        self._arrived.set()

    def _stop(self, error: LogFailed) -> None:
        self.failure, self._open = error, False

    @staticmethod
    def _tell(done: Done, submission: Submission, outcome: Outcome) -> None:
        try:
            done(submission, outcome)
        except Exception:  # one sender's answer is no reason not to answer the others
            logger.exception(_UNTOLD)

    @property
    def waiting(self) -> int:
        """How many events wait for their commit, those of the batch that is being committed left out."""
        return len(self._queue)

    @property
    def waiting_bytes(self) -> int:
        """What they weigh."""
        return self._queued_bytes

    def drain(self) -> None:
        """Take no more; :meth:`run` returns when what was taken is committed. Idempotent."""
        self._open = False
        self._arrived.set()

    def _refusal(self) -> Refused:
        if self.failure is not None:
            return Refused("unavailable", "the log has failed; the outcome is unknown, retry with the same id")
        if not self._open:
            return Refused("unavailable", "the server is stopping; retry with the same id", retry_after_s=1)
        return Refused("unavailable", "too much waits to be stored; retry with the same id", retry_after_s=1)
