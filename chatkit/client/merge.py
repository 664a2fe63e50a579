"""Several replays into one stream in the order of the log. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from .events import Event

#: Bytes of events held back while one replay waits for another. Past it they go out as they are: still in order
#: within each topic, no longer across topics.
HOLD_BYTES: Final = 8 * 2**20


class Merge:
    """A k-way merge of topics, each in ``seq`` order, of which some are not level yet.

    An event goes out when no topic can still deliver an older one: when each replaying topic has a newer one waiting.
    """

    def __init__(self, topics: list[str], hold_bytes: int = HOLD_BYTES) -> None:
        self._queues: dict[str, deque[Event]] = {topic: deque() for topic in topics}
        self._replaying = set(topics)
        self._hold_bytes = hold_bytes
        self._held = 0

    def replay(self, topic: str) -> None:
        """``topic`` is about to deliver older events."""
        self._replaying.add(topic)

    def push(self, topic: str, event: Event) -> list[Event]:
        """Take the next persisted event of ``topic``; returns those that may go out."""
        if len(self._queues) == 1:
            return [event]
        self._queues[topic].append(event)
        self._held += size_of(event)
        if self._held > self._hold_bytes:
            return self.flush()
        return self._ready()

    def level(self, topic: str) -> list[Event]:
        """``topic`` has nothing older any more; returns the events that may go out."""
        self._replaying.discard(topic)
        return self._ready()

    def _ready(self) -> list[Event]:
        out: list[Event] = []
        while all(self._queues[topic] for topic in self._replaying):
            waiting = [queue for queue in self._queues.values() if queue]
            if not waiting:
                break
            event = min(waiting, key=lambda queue: queue[0].seq or 0).popleft()
            self._held -= size_of(event)
            out.append(event)
        return out

    def flush(self) -> list[Event]:
        """Everything that is held back, without waiting for what may be older."""
        out = sorted((event for queue in self._queues.values() for event in queue), key=lambda event: event.seq or 0)
        for queue in self._queues.values():
            queue.clear()
        self._held = 0
        return out


def size_of(event: Event) -> int:
    """Bytes that an event takes in memory, about."""
    return len(event.raw) + 200
