"""Where a reader is in the log, topic by topic, and how it goes on after a lost connection. Pure.

::

    connect -> commands() ──> server
               receive(frame) <── server   gives the events and notices for the caller
               and again, with the positions reached, after the next connect

A position that the server cannot honour (another log, a place beyond its end, or older than what it keeps) is answered
with the newest events that it has: they are asked for, held until the last one is there, and then handed over behind
one notice that says how many they are.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from .. import wire
from ..errors import Refused
from ..model import Pattern
from .events import Event, Notice
from .merge import HOLD_BYTES, Merge, size_of
from .position import Cursor, Position

#: Events shown where the server cannot go on from the position: the newest ones, at most so many.
RELOAD: Final = 1000


class _Gap:
    """What a topic goes through between "not recovered" and the newest events that there are instead.

    Attributes:
        why: half a sentence.
        before: the position that could not be honoured. It stays the one to be kept until the gap has been told.
        seen: events up to this seq were seen before.
        events: the newest so far, at most :data:`RELOAD` of them and :data:`~.merge.HOLD_BYTES` bytes.
        left_out: there were more.
    """

    __slots__ = ("_held_bytes", "before", "events", "left_out", "seen", "why")

    def __init__(self, why: str, before: Position | None, seen: int) -> None:
        self.why, self.before, self.seen = why, before, seen
        self.clear()

    def clear(self) -> None:
        self.events: deque[Event] = deque()
        self.left_out, self._held_bytes = False, 0

    def add(self, event: Event) -> None:
        self.events.append(event)
        self._held_bytes += size_of(event)
        while len(self.events) > RELOAD or self._held_bytes > HOLD_BYTES:
            self.left_out = True
            self._held_bytes -= size_of(self.events.popleft())

    def notice(self, topic: str) -> Notice:
        count = len(self.events)
        if count > 1:
            there_is = f"the newest {count} events there are"
        else:
            there_is = "the one event there is" if count else "what comes, there is nothing else"
        more = "; older ones are left out" if self.left_out else ""
        return Notice("gap", f"{topic}: {self.why}; going on with {there_is}{more}")


class _Topic:
    """One topic.

    Attributes:
        pattern: what it means.
        epoch: the log that ``position`` is one of; ``None`` until the server has said so.
        position: everything up to this seq was received; ``None`` until the server has said where it starts.
        level: nothing older is on its way.
        command: the subscription that is not answered yet. Until it is, what comes belongs to one that it replaces.
        gap: the position could not be honoured, and what there is instead is on its way.
        unread: seqs that were received and not handed to the caller yet, oldest first.
    """

    __slots__ = ("command", "epoch", "gap", "level", "pattern", "position", "unread")

    def __init__(self, pattern: Pattern, start: Position | None) -> None:
        self.pattern = pattern
        self.epoch = start.epoch if start else None
        self.position = start.seq if start else None
        self.level = False
        self.command: wire.Subscribe | None = None
        self.gap: _Gap | None = None
        self.unread: deque[int] = deque()

    def reached(self) -> Position | None:
        """Everything up to here was handed to the caller."""
        if self.gap:
            return self.gap.before
        if self.epoch is None or self.position is None:
            return None
        return Position(self.epoch, self.unread[0] - 1 if self.unread else self.position)


class Reader:
    """Reads one or more topics over any number of connections, each event once and in order.

    Args:
        topics: channels or patterns; one that another covers is left out.
        last: start with the newest ``last`` events of each.
        after: start with all events after this seq; excludes ``last``.
        filter: values an event's data must have.
        cursor: go on from here; ``last`` and ``after`` are for topics that have no position in it.
        url: the server, for the cursor.

    Raises:
        InvalidName: a topic breaks the grammar, or the cursor is of another server or other topics.
    """

    def __init__(
        self,
        topics: list[str],
        *,
        last: int | None = None,
        after: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the protocol's own name
        cursor: Cursor | None = None,
        url: str = "",
    ) -> None:
        patterns = without_covered(topics)
        names = [pattern.text for pattern in patterns]
        if cursor:
            cursor.check(url, names)
        starts = cursor.topics if cursor else {}
        self._topics = {pattern.text: _Topic(pattern, starts.get(pattern.text)) for pattern in patterns}
        self._last, self._after, self._filter, self._url = last or None, after, filter, url
        self._merge = Merge(names)
        self._overlap = any(a.may_overlap(b) for i, a in enumerate(patterns) for b in patterns[i + 1 :])
        self._seen: dict[str, int] = {}  # channel -> seq, kept only where topics overlap
        self._started_over = False  # on this connection, because the log is not the one it was

    @property
    def is_level(self) -> bool:
        """Whether every topic has delivered all that was in the log when it was subscribed."""
        return all(topic.level for topic in self._topics.values())

    @property
    def cursor(self) -> Cursor:
        """The positions up to which events were handed to the caller, who says so with :meth:`handed`."""
        return Cursor(self._url, {name: topic.reached() for name, topic in self._topics.items()})

    def handed(self, event: Event) -> None:
        """``event`` is the caller's now, in the order of what :meth:`receive` returned."""
        for topic in self._topics.values():
            if topic.unread and topic.unread[0] == event.seq:
                topic.unread.popleft()
                return

    def commands(self) -> list[wire.Subscribe]:
        """What to say first on a new connection."""
        self._started_over = False
        return [self._subscribe(name, topic) for name, topic in self._topics.items()]

    def _subscribe(self, name: str, topic: _Topic) -> wire.Subscribe:
        if topic.gap:
            topic.gap.clear()
            topic.position = None
            command = wire.Subscribe(name, last=RELOAD + 1, filter=self._filter)  # one more tells whether there is more
        elif topic.position is not None:
            command = wire.Subscribe(name, after=topic.position, epoch=topic.epoch, filter=self._filter)
        elif self._after is not None:
            command = wire.Subscribe(name, after=self._after, filter=self._filter)
        else:
            command = wire.Subscribe(name, last=self._last, filter=self._filter)
        topic.level, topic.command = False, command
        self._merge.replay(name)
        return command

    def receive(self, frame: wire.AnyFrame) -> tuple[list[Event | Notice], list[wire.Subscribe]]:
        """Take one frame; returns what is for the caller, and what is to be said to the server.

        Raises:
            Refused: the server refuses a topic.
        """
        if isinstance(frame, wire.ErrorFrame):
            raise Refused(frame.code, frame.message)
        name = getattr(frame, "topic", "")
        topic = self._topics.get(name)
        if topic is None:
            return [], []
        if isinstance(frame, wire.EventFrame):
            return self._event(topic, frame), []
        if isinstance(frame, wire.Subscribed):
            return self._subscribed(name, topic, frame)
        if isinstance(frame, wire.Live) and topic.command is None:
            return self._live(name, topic, frame.seq), []
        return [], []

    def _event(self, topic: _Topic, frame: wire.EventFrame) -> list[Event | Notice]:
        channel = frame.channel or frame.topic
        event = Event(channel, frame.event, frame.id, frame.seq, frame.userId, frame.timestamp, bytes(frame.data))
        if event.seq is None:
            return [event]
        if topic.command or (topic.position is not None and event.seq <= topic.position):
            return []
        topic.position = event.seq
        if topic.gap:
            if event.seq > topic.gap.seen:
                topic.gap.add(event)
            return []
        return [*self._push(frame.topic, topic, event)]

    def _push(self, name: str, topic: _Topic, event: Event) -> list[Event]:
        assert event.seq is not None  # noqa: S101 - only persisted events are merged
        if self._overlap:
            if event.seq <= self._seen.get(event.channel, 0):
                return []
            self._seen[event.channel] = event.seq
        topic.unread.append(event.seq)
        return self._merge.push(name, event)

    def _live(self, name: str, topic: _Topic, seq: int) -> list[Event | Notice]:
        topic.position, topic.level = max(seq, topic.position or 0), True
        items: list[Event | Notice] = []
        if topic.gap:
            gap, topic.gap = topic.gap, None
            items.append(gap.notice(name))
            for event in gap.events:
                items += self._push(name, topic, event)
        return [*items, *self._merge.level(name)]

    def _subscribed(
        self, name: str, topic: _Topic, frame: wire.Subscribed
    ) -> tuple[list[Event | Notice], list[wire.Subscribe]]:
        command, topic.command = topic.command, None
        if command is None:
            return [], []
        same_log = topic.epoch in (None, frame.epoch)
        asked = command.after
        if asked is None:
            if topic.gap and not same_log:
                topic.gap.seen = 0  # yet another log
            topic.epoch = frame.epoch
            if command.last is None:
                return self._live(name, topic, frame.seq), []
            return [], []
        if frame.recovered:
            topic.epoch, topic.position = frame.epoch, asked  # what comes now and is not newer was seen
            return [], []
        return self._lost_place(name, topic, frame, asked, same_log)

    def _lost_place(
        self, name: str, topic: _Topic, frame: wire.Subscribed, asked: int, same_log: bool
    ) -> tuple[list[Event | Notice], list[wire.Subscribe]]:
        """The position ``asked`` cannot be honoured: ask for what there is."""
        before, items, seen = topic.reached(), list[Event | Notice](), 0
        if same_log and asked <= frame.seq:
            why, seen = f"events after {asked} are no longer kept", asked
        else:
            if same_log:
                why = f"position {asked} is beyond the end of the log ({frame.seq})"
            else:
                why = "the server has another log than before"
            topic.unread.clear()  # their seqs mean nothing in this log
            if not self._started_over:
                self._started_over = True
                self._seen.clear()
                items += self._merge.flush()
        topic.gap, topic.epoch, topic.position = _Gap(why, before, seen), frame.epoch, None
        return items, [self._subscribe(name, topic)]


def without_covered(topics: list[str]) -> list[Pattern]:
    """The patterns of ``topics``, without those that another one covers.

    Raises:
        InvalidName: one breaks the grammar.
    """
    patterns = [Pattern.parse(topic) for topic in dict.fromkeys(topics)]
    return [one for one in patterns if not any(other is not one and covers(other, one) for other in patterns)]


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether every channel of ``narrow`` is one of ``wide``."""
    if wide.parts[-1] == "**":
        # A final ** stands for one or more segments, in either pattern.
        if len(narrow.parts) < len(wide.parts):
            return False
        pairs = zip(wide.parts[:-1], narrow.parts, strict=False)
        return all((a == "*" and b != "**") or a == b for a, b in pairs)
    if narrow.parts[-1] == "**" or len(wide.parts) != len(narrow.parts):
        return False
    return all(a in ("*", b) for a, b in zip(wide.parts, narrow.parts, strict=True))
