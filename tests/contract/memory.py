"""A log in memory: what the contract asks, in the plainest way. A second engine, and the fake for tests of readers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy

from chatkit.errors import Refused
from chatkit.log.base import Appended, ChannelStats, Listener, Log, Outcome, Page, Query, Submission
from chatkit.log.rows import same_content
from chatkit.model import Event


class MemoryLog(Log):
    """Accepts in two steps, as a file does: what is stored is not fed until the loop has turned."""

    def __init__(self, kept: MemoryLog | None = None) -> None:
        self.epoch = kept.epoch if kept else f"memory-{id(self):x}"
        self.floor = 0
        self._events: list[Event] = kept._events if kept else []
        self.head = len(self._events)
        self._listener: Listener = lambda events: None

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        outcomes = [self._accept(submission) for submission in batch]
        await asyncio.sleep(0)
        self.head = len(self._events)
        accepted = [
            submission.event
            for submission, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, Appended) and not outcome.duplicate
        ]
        if accepted:
            self._listener(accepted)
        return outcomes

    def _accept(self, submission: Submission) -> Outcome:
        event = submission.event
        if not event.persist:
            return Appended(None)
        for known in self._events:
            if known.id == event.id:
                if same_content(known, submission):
                    return Appended(known.seq, duplicate=True)
                return Refused("id_conflict", f"the id {event.id!r} exists")
        event.seq = len(self._events) + 1
        self._events.append(copy(event))
        return Appended(event.seq)

    async def read(self, query: Query) -> Page:
        if query.limit <= 0:
            return Page([], query.after, more=False)
        head = self.head
        await asyncio.sleep(0)
        found = [event for event in self._events[:head] if _matches(event, query)]
        more = len(found) >= query.limit
        if query.newest:
            return Page(found[-query.limit :], max(query.after, min(query.upto, head)), more)
        page = found[: query.limit]
        reached = page[-1].seq if more else max(query.after, min(query.upto, head))
        return Page(page, reached or 0, more)

    async def channels(self) -> list[ChannelStats]:
        newest = {event.channel: event for event in self._events}
        return [
            ChannelStats(name, sum(event.channel == name for event in self._events), last.seq or 0, last.timestamp)
            for name, last in sorted(newest.items())
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _matches(event: Event, query: Query) -> bool:
    return (
        event.seq is not None
        and query.after < event.seq <= query.upto
        and (query.pattern is None or query.pattern.matches(event.channel))
        and (query.since is None or event.timestamp >= query.since)
        and (query.until is None or event.timestamp < query.until)
        and query.user in (None, event.user_id)
        and query.event in (None, event.event)
    )
