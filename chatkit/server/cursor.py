"""Replay, catching up after lagging and resuming after a reconnect: one piece of code.

Read pages after a position, then join the live set in the same step in which the head is known, so that nothing is
missed or repeated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

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
_TURNS: Final = 4
_SPELLINGS_KEPT: Final = 4
_BEHIND: Final = (State.REPLAYING, State.LAGGING)

T = TypeVar("T")
_Key = tuple[Pattern, int]


class SharedPage:
    """A page of the log, encoded once for every cursor that reads it.

    Attributes:
        events: what it holds of the pattern it was read for.
        position: it reaches up to here.
        is_last: whether there was nothing after it when it was read.
    """

    __slots__ = ("_frames", "events", "is_last", "position")

    def __init__(self, events: list[Event], position: int, *, is_last: bool) -> None:
        self.events = events
        self.position = position
        self.is_last = is_last
        self._frames: dict[Topic, bytes] = {}

    def frames(self, topic: Topic) -> bytes:
        """All of the page's events as the clients of ``topic`` see them."""
        data = self._frames.get(topic)
        if data is None:
            if len(self._frames) >= _SPELLINGS_KEPT:  # clients choose how they spell a topic: there is no end of them
                self._frames.clear()
            data = self._frames[topic] = Group(topic).frames(self.events)
        return data


class Pages:
    """Pages for cursors; those that read the same page at the same time, or soon after, share it.

    Only whole pages are kept: one that ends at the head of the log is short a moment later.

    Attributes:
        turns: a cursor takes one for a page from memory and its write. Few at a time, so that a hundred replays that
            start together do not keep the senders' answers waiting.
    """

    def __init__(self, log: Log, hub: Hub, page_size: int) -> None:
        self.turns = asyncio.Semaphore(_TURNS)
        self._size = page_size
        self._log = log
        self._hub = hub
        self._read: _Kept[asyncio.Task[SharedPage]] = _Kept()
        self._recent: _Kept[SharedPage] = _Kept()

    async def read(self, pattern: Pattern, after: int) -> SharedPage:
        """The page of the log that follows ``after``.

        Raises:
            LogError: it cannot be read.
        """
        key = (pattern, after)
        task = self._read.get(key)
        if task is None:
            task = asyncio.create_task(self._read_log(key))
            self._read.put(key, task)
        return await asyncio.shield(task)  # a reader that goes away does not take the page from the others

    async def _read_log(self, key: _Key) -> SharedPage:
        pattern, after = key
        try:
            page = await self._log.read(Query(pattern, after=after, limit=self._size, max_bytes=_PAGE_BYTES))
        except BaseException:
            self._read.drop(key)
            raise
        if not page.more:
            self._read.drop(key)
        return SharedPage(page.events, page.position, is_last=not page.more)

    def recent(self, pattern: Pattern, after: int) -> SharedPage:
        """The page of what the hub has in memory that follows ``after``."""
        key, hub = (pattern, after), self._hub
        page = self._recent.get(key)
        if page is None or (page.is_last and page.position != hub.position):
            events, is_last = hub.recent.after(after, self._size, _PAGE_BYTES)
            position = hub.position if is_last else (events[-1].seq or 0)
            page = SharedPage([event for event in events if pattern.matches(event.channel)], position, is_last=is_last)
            self._recent.put(key, page)
        return page

    def are_kept_after(self, position: int) -> bool:
        """Whether everything with a greater ``seq`` is still in the log."""
        return position >= self._log.floor

    def clear(self) -> None:
        """Forget every page, after events were removed from the log."""
        self._read.clear()
        self._recent.clear()


class _Kept(OrderedDict[_Key, T]):
    """The pages that were used last."""

    def put(self, key: _Key, page: T) -> None:
        self[key] = page
        self.move_to_end(key)
        while len(self) > _PAGES_KEPT:
            self.popitem(last=False)

    def drop(self, key: _Key) -> None:
        self.pop(key, None)


async def catch_up(link: Outlet, hub: Hub, pages: Pages) -> None:
    """Take every subscription of ``link`` that is not live to the head, then make it live.

    Runs as the connection's only task, and only while there is something to catch up with. It waits whenever the
    connection's queue is over its limit, so a slow reader costs one queue and no more.
    """
    while behind := link.behind():
        for subscription in sorted(behind, key=lambda item: item.rank):  # a name takes its events before a pattern
            await link.writable()
            if subscription.state in _BEHIND and subscription.position < hub.recent.floor:
                page = await pages.read(subscription.topic.pattern, subscription.position)
                if subscription.state in _BEHIND:
                    await _turn(pages, partial(_from_log, link, subscription, page, hub, pages))
            elif subscription.state in _BEHIND:
                await _turn(pages, partial(_from_memory, link, subscription, hub, pages))


async def _turn(pages: Pages, step: Callable[[], None]) -> None:
    """Do one step when it is this cursor's turn, and let the loop go round before the next one's."""
    async with pages.turns:
        step()
        await asyncio.sleep(0)


def _from_log(link: Outlet, subscription: Subscription, page: SharedPage, hub: Hub, pages: Pages) -> None:
    """One page of the log further."""
    if subscription.state not in _BEHIND:
        return
    if not pages.are_kept_after(subscription.position):  # pruning has overtaken it, maybe within this page
        link.close(CloseCode.STALLED, "what it has not read is no longer kept")
        return
    _write(link, subscription, page, hub)
    subscription.position = page.position


def _from_memory(link: Outlet, subscription: Subscription, hub: Hub, pages: Pages) -> None:
    """One page further of what the hub still has in memory, or live. One step: no batch can come in between."""
    if subscription.state not in _BEHIND or subscription.position < hub.recent.floor:
        return
    page = pages.recent(subscription.topic.pattern, subscription.position)
    _write(link, subscription, page, hub)
    subscription.position = page.position
    if page.is_last and not link.is_paused:
        replayed = subscription.state is State.REPLAYING
        hub.join(subscription)
        if replayed:
            link.send(wire.Live(subscription.topic.name, page.position))


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
