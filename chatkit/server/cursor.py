"""Replay, catching up after lagging and resuming after a reconnect: one piece of code.

Read pages after a position, then join the live set in the same step in which the head is known, so that nothing is
missed or repeated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from .. import wire
from ..errors import CloseCode
from ..log.base import Log, Query
from ..model import Event, Pattern, Topic
from .hub import Group, Hub
from .subscription import State, Subscription

if TYPE_CHECKING:
    from .outlet import Outlet

_PAGES_KEPT: Final = 64
#: What a page, or a step through memory, may weigh: so much a slow reader costs beyond its queue.
_PAGE_BYTES: Final = 256 * 1024


class SharedPage:
    """A page of the log, encoded once for every cursor that reads it."""

    __slots__ = ("_frames", "events", "position")

    def __init__(self, events: list[Event], position: int) -> None:
        self.events = events
        self.position = position
        self._frames: dict[Topic, bytes] = {}

    def frames(self, topic: Topic) -> bytes:
        """All of the page's events as the clients of ``topic`` see them."""
        data = self._frames.get(topic)
        if data is None:
            data = self._frames[topic] = Group(topic).frames(self.events)
        return data


class Pages:
    """Reads pages for cursors; those that read the same page at the same time, or soon after, share it.

    Only whole pages are kept: one that ends at the head of the log would be short a moment later.
    """

    def __init__(self, log: Log, page_size: int) -> None:
        self.size = page_size
        self._log = log
        self._kept: OrderedDict[tuple[Pattern, int], asyncio.Task[SharedPage]] = OrderedDict()

    async def read(self, pattern: Pattern, after: int) -> SharedPage:
        """The page that follows ``after``.

        Raises:
            LogError: it cannot be read.
        """
        key = (pattern, after)
        task = self._kept.get(key)
        if task is None:
            task = self._kept[key] = asyncio.create_task(self._read(key))
            while len(self._kept) > _PAGES_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return await asyncio.shield(task)  # a reader that goes away does not take the page from the others

    async def _read(self, key: tuple[Pattern, int]) -> SharedPage:
        pattern, after = key
        try:
            page = await self._log.read(Query(pattern, after=after, limit=self.size, max_bytes=_PAGE_BYTES))
        except BaseException:
            self._kept.pop(key, None)
            raise
        if not page.more:
            self._kept.pop(key, None)
        return SharedPage(page.events, page.position)

    def are_kept_after(self, position: int) -> bool:
        """Whether everything with a greater ``seq`` is still in the log."""
        return position >= self._log.floor

    def clear(self) -> None:
        """Forget every page, after events were removed from the log."""
        self._kept.clear()


async def catch_up(link: Outlet, hub: Hub, pages: Pages) -> None:
    """Take every subscription of ``link`` that is not live to the head, then make it live.

    Runs as the connection's only task, and only while there is something to catch up with. It waits whenever the
    connection's queue is over its limit, so a slow reader costs one queue and no more.
    """
    while behind := link.behind():
        for subscription in sorted(behind, key=lambda item: item.rank):  # a name takes its events before a pattern
            await link.writable()
            if subscription.state in (State.REPLAYING, State.LAGGING):
                await _step(link, subscription, hub, pages)


async def _step(link: Outlet, subscription: Subscription, hub: Hub, pages: Pages) -> None:
    """One page further, or live."""
    if subscription.position < hub.recent.floor:
        page = await pages.read(subscription.topic.pattern, subscription.position)
        if subscription.state is State.ENDED:
            return
        if not pages.are_kept_after(subscription.position):  # pruning has overtaken it, maybe within this page
            link.close(CloseCode.STALLED, "what it has not read is no longer kept")
            return
        _write(link, subscription, page, hub)
        subscription.position = page.position
        return
    # From here to the join there is no await: no batch can come in between.
    events = hub.recent.after(subscription.position)
    chunk = _first(events, pages.size, _PAGE_BYTES)
    complete = len(chunk) == len(events)
    own = [event for event in chunk if subscription.topic.pattern.matches(event.channel)]
    position = hub.position if complete else (chunk[-1].seq or 0)
    _write(link, subscription, SharedPage(own, position), hub)
    subscription.position = position
    if not complete:
        await asyncio.sleep(0)  # others have their turn
    elif not link.is_paused:
        replayed = subscription.state is State.REPLAYING
        hub.join(subscription)
        if replayed:
            link.send(wire.Live(subscription.topic.name, position))


def _first(events: list[Event], count: int, size_bytes: int) -> list[Event]:
    """The first ``count`` of ``events``, or fewer where they weigh more than ``size_bytes``; at least one."""
    for place, event in enumerate(events[:count], 1):
        size_bytes -= len(event.data)
        if size_bytes <= 0:
            return events[:place]
    return events[:count]


def _write(link: Outlet, subscription: Subscription, page: SharedPage, hub: Hub) -> None:
    if subscription.is_plain:
        if page.events:
            data = page.frames(subscription.topic)
            link.write(data)
            hub.counters.deliveries += len(page.events)
            hub.counters.delivered_bytes += len(data)
        return
    own = [event for event in page.events if subscription.takes_replayed(event, hub.position)]
    if own:
        data = Group(subscription.topic).frames(own)
        link.write(data)
        hub.counters.deliveries += len(own)
        hub.counters.delivered_bytes += len(data)
