"""Fan-out: each batch's bytes are built once for a topic, and every subscriber gets the same bytes object."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from ..model import Event, Topic
from ..wire import encode_event
from .formats import FORMATS
from .subscription import State, Subscription

if TYPE_CHECKING:
    from .outlet import Outlet

#: How much of the end of the log stays in memory, for cursors to join the live set without missing a step.
_RECENT_EVENTS: Final = 4096
_RECENT_BYTES: Final = 4 * 1024 * 1024

#: Channels of which a pattern remembers whether it matches them.
_MATCHES_KEPT: Final = 16384


class Counters(msgspec.Struct):
    """What the hub has done since it started; its bytes are of live deliveries, replays included."""

    persisted: int = 0
    ephemeral: int = 0
    deliveries: int = 0
    delivered_bytes: int = 0
    lagging: int = 0
    caught_up: int = 0
    ephemeral_skipped: int = 0


class Group:
    """The subscribers of one topic.

    Attributes:
        live: plain live subscriptions, and the write of their connection; all of them get the same bytes.
        picky: live subscriptions with a filter or a rival, which are asked about each event.
        behind: how many subscriptions of the group are not live.
    """

    __slots__ = ("_format", "_through_pattern", "behind", "live", "matches", "picky", "topic")

    def __init__(self, topic: Topic) -> None:
        self._format = FORMATS[topic.form]
        self._through_pattern = not topic.pattern.is_channel
        self.topic = topic
        self.live: dict[Subscription, Callable[[bytes], None]] = {}
        self.picky: dict[Subscription, None] = {}
        self.behind = 0
        self.matches: dict[str, bool] = {}  # channel -> whether a pattern matches it

    def frames(self, events: Iterable[Event]) -> bytes:
        """The events as this topic's clients see them."""
        name, through_pattern, write = self.topic.name, self._through_pattern, self._format
        return b"".join(
            [
                write(encode_event(event, name, event.channel if through_pattern else None), event.seq)
                for event in events
            ]
        )

    def covers(self, channel: str) -> bool:
        """Whether the topic's pattern matches ``channel``; remembered, since channels come again."""
        found = self.matches.get(channel)
        if found is None:
            if len(self.matches) >= _MATCHES_KEPT:
                self.matches.clear()
            found = self.matches[channel] = self.topic.pattern.matches(channel)
        return found

    def __len__(self) -> int:
        return len(self.live) + len(self.picky) + self.behind


class Recent:
    """The newest persisted events, in memory.

    Attributes:
        floor: everything after this position is here.
    """

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._batches: deque[tuple[list[Event], int, int]] = deque()  # events, their bytes, their last seq
        self._count = 0
        self._bytes = 0

    def extend(self, events: list[Event], last_seq: int) -> None:
        """Add the persisted events that were just committed, the last of them at ``last_seq``."""
        size = sum([len(event.data) for event in events])
        self._batches.append((events, size, last_seq))
        self._count += len(events)
        self._bytes += size
        while self._count > _RECENT_EVENTS or self._bytes > _RECENT_BYTES:
            oldest, size, self.floor = self._batches.popleft()
            self._count -= len(oldest)
            self._bytes -= size

    def after(self, position: int, max_events: int, max_bytes: int) -> tuple[list[Event], bool]:
        """The events that follow ``position``, which must not be below :attr:`floor`.

        Args:
            position: only events with a greater ``seq``.
            max_events: at most so many.
            max_bytes: end with the event that takes their data past so many bytes.

        Returns:
            The events, and whether there are no more.
        """
        batches: list[list[Event]] = []
        for events, _, last_seq in reversed(self._batches):
            if last_seq <= position:
                break
            batches.append(events)
        found: list[Event] = []
        for events in reversed(batches):
            for event in events:
                if event.seq is not None and event.seq > position:
                    if len(found) == max_events or max_bytes <= 0:
                        return found, False
                    found.append(event)
                    max_bytes -= len(event.data)
        return found, True


class Hub:
    """Hands each accepted batch to the live subscribers of its channels.

    Per subscriber and batch there is one ``transport.write`` of bytes that already exist: no encoding, no task, no
    await. A connection whose queue is over its limit after a batch leaves the live set; its subscriptions go on from
    the position of that batch as cursors.

    Attributes:
        position: the greatest ``seq`` that was handed out.
    """

    def __init__(self, head: int) -> None:
        self.position = head
        self.recent = Recent(head)
        self.counters = Counters()
        self._channels: dict[str, dict[Topic, Group]] = {}
        self._patterns: dict[Topic, Group] = {}
        self._over_limit: set[Outlet] = set()

    def deliver(self, events: list[Event]) -> None:
        """Hand one batch out; the listener of the log."""
        channels: dict[str, list[Event]] = {}
        for event in events:
            own = channels.get(event.channel)
            if own is None:
                channels[event.channel] = [event]
            else:
                own.append(event)
        for channel, own in channels.items():
            groups = self._channels.get(channel)
            if groups is not None:
                for group in groups.values():
                    self._deliver_group(group, own)
        for group in self._patterns.values():
            own = [event for event in events if group.covers(event.channel)]
            if own:
                self._deliver_group(group, own)
        persisted = [event for event in events if event.seq is not None]
        self.counters.persisted += len(persisted)
        self.counters.ephemeral += len(events) - len(persisted)
        if persisted:
            self.position = persisted[-1].seq or self.position
            self.recent.extend(persisted, self.position)
        if self._over_limit:
            over, self._over_limit = self._over_limit, set()
            for link in over:
                link.fall_behind()

    def _deliver_group(self, group: Group, events: list[Event]) -> None:
        if group.live:
            data = group.frames(events)
            for write in group.live.values():
                write(data)
            self.counters.deliveries += len(group.live) * len(events)
            self.counters.delivered_bytes += len(group.live) * len(data)
        for subscription in group.picky:
            own = [event for event in events if subscription.takes_live(event)]
            if own:
                data = group.frames(own)
                subscription.link.write(data)
                self.counters.deliveries += len(own)
                self.counters.delivered_bytes += len(data)
        if group.behind:
            self.counters.ephemeral_skipped += group.behind * sum(event.seq is None for event in events)

    def over_limit(self, link: Outlet) -> None:
        """Note that a connection's queue is over its limit; acted upon when the batch is out."""
        self._over_limit.add(link)

    def forget(self, link: Outlet) -> None:
        """A connection is gone."""
        self._over_limit.discard(link)

    def add(self, subscription: Subscription) -> None:
        """Take a new subscription in, not live yet."""
        self._group(subscription).behind += 1

    def join(self, subscription: Subscription) -> None:
        """Make a subscription live. Its position must be :attr:`position`, in the same step."""
        if subscription.state is State.LAGGING:
            self.counters.caught_up += 1
        group = self._group(subscription)
        group.behind -= 1
        subscription.state = State.LIVE
        self._place(group, subscription)

    def leave(self, subscription: Subscription, state: State) -> None:
        """Take a live subscription out of the live set; it has delivered everything up to :attr:`position`."""
        group = self._group(subscription)
        group.live.pop(subscription, None)
        group.picky.pop(subscription, None)
        group.behind += 1
        subscription.state = state
        subscription.position = self.position
        if state is State.LAGGING:
            self.counters.lagging += 1

    def replace(self, subscription: Subscription) -> None:
        """Place a live subscription anew after its filter or rivals have changed."""
        if subscription.state is State.LIVE:
            group = self._group(subscription)
            group.live.pop(subscription, None)
            group.picky.pop(subscription, None)
            self._place(group, subscription)

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        if subscription.state is State.LIVE:
            self.leave(subscription, State.ENDED)
        subscription.state = State.ENDED
        group = self._group(subscription)
        group.behind -= 1
        if not len(group):
            topic = subscription.topic
            if topic.pattern.is_channel:
                groups = self._channels[topic.pattern.text]
                del groups[topic]
                if not groups:
                    del self._channels[topic.pattern.text]
            else:
                del self._patterns[topic]

    def sizes(self) -> tuple[int, int]:
        """How many subscriptions are live, and how many are not."""
        groups = [*(group for groups in self._channels.values() for group in groups.values()), *self._patterns.values()]
        return sum(len(group.live) + len(group.picky) for group in groups), sum(group.behind for group in groups)

    def subscribers(self) -> dict[str, int]:
        """Channel -> subscriptions to it by name."""
        return {name: sum(map(len, groups.values())) for name, groups in self._channels.items()}

    def _group(self, subscription: Subscription) -> Group:
        topic = subscription.topic
        groups = self._channels.setdefault(topic.pattern.text, {}) if topic.pattern.is_channel else self._patterns
        group = groups.get(topic)
        if group is None:
            group = groups[topic] = Group(topic)
        return group

    @staticmethod
    def _place(group: Group, subscription: Subscription) -> None:
        if subscription.is_plain:
            group.live[subscription] = subscription.link.write
        else:
            group.picky[subscription] = None
