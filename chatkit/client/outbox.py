"""The requests that are not answered yet, in order: what to write, what an answer belongs to, what to write again.

Pure: time is passed in and bytes are handed out. HTTP/1.1 answers requests in the order they were written (RFC 9112
section 9.3.2), so the oldest parcel that was written is the one that the next answer is for.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Bytes written and not answered at any time. At the limit the rest waits its turn: a connection that is lost then
#: repeats no more than this, and a server need not buffer more.
WINDOW_BYTES: Final = 256 * 1024


class Parcel(Generic[T]):
    """One request and who waits for its answer.

    Attributes:
        data: its bytes.
        id: its event's id, for the error when no answer comes; empty for a read.
        deadline: when its sender stops waiting, in the caller's monotonic seconds.
        timeout_s: how long that was from the start, for the error.
        waiter: whatever the caller wakes; the outbox only carries it.
        sent: it was written at least once: without an answer its outcome is unknown.
        given_up: its sender waits no longer. It keeps its place until its answer has come, or the connection is lost.
    """

    __slots__ = ("data", "deadline", "given_up", "id", "sent", "timeout_s", "waiter")

    def __init__(self, data: bytes, event_id: str, deadline: float, timeout_s: float, waiter: T) -> None:
        self.data, self.id, self.deadline, self.timeout_s, self.waiter = data, event_id, deadline, timeout_s, waiter
        self.sent = self.given_up = False


class Outbox(Generic[T]):
    """Parcels, oldest first; the first ``written`` of them are on the present connection."""

    __slots__ = ("_parcels", "_window_bytes", "in_flight_bytes", "queued_bytes", "written")

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self._parcels: deque[Parcel[T]] = deque()
        self._window_bytes = window_bytes
        self.written = 0
        self.in_flight_bytes = 0
        self.queued_bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def add(self, parcel: Parcel[T]) -> None:
        """Put ``parcel`` at the end."""
        self._parcels.append(parcel)
        self.queued_bytes += len(parcel.data)

    def take(self) -> list[bytes]:
        """What to write now, in order; it counts as written. One parcel always fits, however large."""
        out: list[bytes] = []
        while self.written < len(self._parcels):
            parcel = self._parcels[self.written]
            size = len(parcel.data)
            if self.in_flight_bytes and self.in_flight_bytes + size > self._window_bytes:
                break
            if parcel.given_up:
                self._remove_at(self.written)
                continue
            parcel.sent = True
            self.written += 1
            self.in_flight_bytes += size
            out.append(parcel.data)
        return out

    def oldest(self) -> Parcel[T] | None:
        """The parcel that the next answer is for; ``None`` when nothing is in flight."""
        return self._parcels[0] if self.written else None

    def answered(self) -> Parcel[T]:
        """Take out the parcel that the answer at hand is for."""
        parcel = self._parcels.popleft()
        self.written -= 1
        self.in_flight_bytes -= len(parcel.data)
        self.queued_bytes -= len(parcel.data)
        return parcel

    def lost(self) -> None:
        """The connection is gone: all that was not answered will be written again, in the same order."""
        self.written = self.in_flight_bytes = 0
        kept = [parcel for parcel in self._parcels if not parcel.given_up]
        self._parcels = deque(kept)
        self.queued_bytes = sum(len(parcel.data) for parcel in kept)

    def expire(self, now: float) -> list[Parcel[T]]:
        """The parcels whose senders stop waiting at ``now``, once each."""
        late = [parcel for parcel in self._parcels if not parcel.given_up and parcel.deadline <= now]
        for parcel in late:
            parcel.given_up = True
        return late

    def give_up_all(self) -> list[Parcel[T]]:
        """Empty the outbox; returns those whose senders still wait."""
        waiting = [parcel for parcel in self._parcels if not parcel.given_up]
        self._parcels.clear()
        self.written = self.in_flight_bytes = self.queued_bytes = 0
        return waiting

    def next_deadline(self) -> float | None:
        """The earliest deadline of a sender that still waits."""
        return min((parcel.deadline for parcel in self._parcels if not parcel.given_up), default=None)

    def _remove_at(self, index: int) -> None:
        self.queued_bytes -= len(self._parcels[index].data)
        del self._parcels[index]
