"""A log in memory: what the contract asks, in the plainest way. A second engine, and the fake for tests of readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import copy

from chatkit.errors import Refused
from chatkit.log.base import Appended, ChannelStats, Failed, Listener, Log, Outcome, Page, Pruned, Query, Submission
from chatkit.log.maintenance.pruning import Plan
from chatkit.log.rows import same_content
from chatkit.model import Event, Pattern


class MemoryLog(Log):
    """Accepts in two steps, as a file does: what is stored is not fed until the loop has turned."""

    def __init__(self, kept: MemoryLog | None = None) -> None:
        self.epoch = kept.epoch if kept else f"memory-{id(self):x}"
        self.floor = kept.floor if kept else 0
        self._events: list[Event] = kept._events if kept else []
        self._last: int = kept._last if kept else 0
        self.head = self._last
        self._listener: Listener = lambda events: None

    def listen(self, listener: Listener, failed: Failed | None = None) -> None:
        self._listener = listener

    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        outcomes = [self._accept(submission) for submission in batch]
        await asyncio.sleep(0)
        self.head = self._last
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
        self._last += 1
        event.seq = self._last
        self._events.append(copy(event))
        return Appended(event.seq)

    async def read(self, query: Query) -> Page:
        if query.limit <= 0:
            return Page([], query.after, more=False)
        head = self.head
        await asyncio.sleep(0)
        found = [event for event in self._events if (event.seq or 0) <= head and _matches(event, query)]
        more = len(found) >= query.limit
        if query.newest:
            return Page(found[-query.limit :], max(query.after, min(query.upto, head)), more)
        page = found[: query.limit]
        reached = page[-1].seq if more else max(query.after, min(query.upto, head))
        return Page(page, reached or 0, more)

    async def start_of_last(self, pattern: Pattern, count: int) -> int:
        head = self.head
        told = [event for event in self._events if (event.seq or 0) <= head]
        found = [event.seq or 0 for event in told if pattern.matches(event.channel)][-count:]
        return found[0] - 1 if found else head

    async def prune(
        self, plan: Plan, progress: Callable[[int], None] | None = None, limit: int | None = None
    ) -> Pruned:
        assert plan.before_ms is None, "it keeps no times"
        going = 0 if plan.keep is None else len(self._events) - plan.keep
        removed = 0
        while removed < going and removed != limit:
            self.floor = self._events[0].seq or 0
            await asyncio.sleep(0)
            del self._events[0]
            removed += 1
            if progress:
                progress(removed)
        return Pruned(removed, done=removed >= going)

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
