"""One client's interest in one topic: where it is in the log, and which events are its own."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from .. import wire
from ..model import Event, Topic

if TYPE_CHECKING:
    from .outlet import Outlet


class State(Enum):
    """How a subscription gets its events."""

    STARTING = "starting"  # nowhere yet: where it begins is being looked up
    REPLAYING = "replaying"  # from the log, because the client asked for what it missed
    LIVE = "live"  # from the hub
    LAGGING = "lagging"  # from the log, because the client could not keep up
    ENDED = "ended"


class Subscription:
    """A cursor over one topic.

    Attributes:
        link: the connection.
        topic: what the client named.
        filter: values that an event's data must have; ``None`` for every event.
        start: it covers events with a greater ``seq`` than this.
        position: it has delivered its events up to this ``seq``; not kept up while live.
        state: how it gets its events.
        rank: lower takes an event that several subscriptions of the connection want.
        rivals: other subscriptions of the connection that may want the same events.
    """

    __slots__ = ("filter", "link", "position", "rank", "rivals", "start", "state", "topic")

    def __init__(self, link: Outlet, topic: Topic, conditions: dict[str, Any] | None, rank: int) -> None:
        self.link = link
        self.topic = topic
        self.filter = conditions or None
        self.start = self.position = 0
        self.state = State.STARTING
        self.rank = (not topic.pattern.is_channel, rank)  # a channel by name comes before patterns
        self.rivals: tuple[Subscription, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it takes every event of its topic, so that it can share bytes with others."""
        return self.filter is None and not self.rivals

    def wants(self, event: Event) -> bool:
        """Whether the event is on the topic and passes the filter."""
        if not self.topic.pattern.matches(event.channel):
            return False
        if self.filter is None:
            return True
        try:
            data = wire.anything.decode(event.data)
            return isinstance(data, dict) and all(
                name in data and wire.same_json(data[name], value) for name, value in self.filter.items()
            )
        except RecursionError:  # accepted at the very limit, and the stack is a little deeper here
            return False

    def takes_live(self, event: Event) -> bool:
        """Whether this live subscription delivers an event that the hub feeds now.

        A connection gets an event once, however many of its subscriptions match.
        """
        return self.wants(event) and not any(
            rival.state is State.LIVE and rival.rank < self.rank and rival.wants(event) for rival in self.rivals
        )

    def takes_replayed(self, event: Event, head: int) -> bool:
        """Whether this subscription delivers an event read from the log.

        Args:
            event: a persisted event after :attr:`position`.
            head: how far the hub has fed its live subscriptions.
        """
        return self.wants(event) and not any(rival.has_delivered(event, head) for rival in self.rivals)

    def has_delivered(self, event: Event, head: int) -> bool:
        """Whether this subscription has delivered a persisted event."""
        reached = head if self.state is State.LIVE else self.position
        return event.seq is not None and self.start < event.seq <= reached and self.wants(event)
