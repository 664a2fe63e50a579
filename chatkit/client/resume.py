"""Where a reader is in the log, topic by topic, and how it goes on after a lost connection. Pure.

::

    connect -> commands() ──> server
               receive(frame) <── server   gives the events and notices for the caller
               and again, with the positions reached, after the next connect
"""

from __future__ import annotations

from typing import Any, Final

from .. import wire
from ..errors import Refused
from ..model import Pattern
from .events import Event, Notice
from .merge import Merge

#: Events asked for where the log no longer keeps what was missed.
RELOAD: Final = 1000


class _Cursor:
    """One topic.

    Attributes:
        pattern: what it means.
        position: everything up to this seq was received; ``None`` until the server has said where it starts.
        level: nothing older is on its way.
        command: the subscription that is not answered yet. Until it is, what comes belongs to one that it replaces.
    """

    __slots__ = ("command", "level", "pattern", "position")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.position: int | None = None
        self.level = False
        self.command: wire.Subscribe | None = None


class Reader:
    """Reads one or more topics over any number of connections, each event once and in order.

    Args:
        topics: channels or patterns; one that another covers is left out.
        last: start with the newest ``last`` events of each.
        after: start with all events after this seq; excludes ``last``.
        filter: values an event's data must have.

    Raises:
        InvalidName: a topic breaks the grammar.
    """

    def __init__(
        self,
        topics: list[str],
        *,
        last: int | None = None,
        after: int | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the protocol's own name
    ) -> None:
        self._cursors = {pattern.text: _Cursor(pattern) for pattern in without_covered(topics)}
        self._last, self._after, self._filter = last or None, after, filter
        self._merge = Merge(list(self._cursors))
        patterns = [cursor.pattern for cursor in self._cursors.values()]
        self._overlap = any(a.may_overlap(b) for i, a in enumerate(patterns) for b in patterns[i + 1 :])
        self._seen: dict[str, int] = {}  # channel -> seq, kept only where topics overlap
        self._epoch: str | None = None

    @property
    def is_level(self) -> bool:
        """Whether every topic has delivered all that was in the log when it was subscribed."""
        return all(cursor.level for cursor in self._cursors.values())

    def commands(self) -> list[wire.Subscribe]:
        """What to say first on a new connection."""
        return [self._subscribe(topic, cursor) for topic, cursor in self._cursors.items()]

    def _subscribe(self, topic: str, cursor: _Cursor, reload: bool = False) -> wire.Subscribe:
        after = cursor.position if cursor.position is not None else self._after
        if reload:
            command = wire.Subscribe(topic, last=RELOAD, filter=self._filter)
        elif after is not None:
            epoch = self._epoch if cursor.position is not None else None
            command = wire.Subscribe(topic, after=after, epoch=epoch, filter=self._filter)
        else:
            command = wire.Subscribe(topic, last=self._last, filter=self._filter)
        cursor.level, cursor.command = False, command
        self._merge.replay(topic)
        return command

    def receive(self, frame: wire.AnyFrame) -> tuple[list[Event | Notice], list[wire.Subscribe]]:
        """Take one frame; returns what is for the caller, and what is to be said to the server.

        Raises:
            Refused: the server refuses a topic.
        """
        if isinstance(frame, wire.ErrorFrame):
            raise Refused(frame.code, frame.message)
        cursor = self._cursors.get(getattr(frame, "topic", ""))
        if cursor is None:
            return [], []
        if isinstance(frame, wire.EventFrame):
            return self._event(cursor, frame), []
        if isinstance(frame, wire.Subscribed):
            return self._subscribed(cursor, frame)
        if isinstance(frame, wire.Live) and cursor.command is None:
            cursor.position = max(frame.seq, cursor.position or 0)
            cursor.level = True
            return [*self._merge.level(frame.topic)], []
        return [], []

    def _event(self, cursor: _Cursor, frame: wire.EventFrame) -> list[Event | Notice]:
        channel = frame.channel or frame.topic
        event = Event(channel, frame.event, frame.id, frame.seq, frame.userId, frame.timestamp, bytes(frame.data))
        if event.seq is None:
            return [event]
        if cursor.command or (cursor.position is not None and event.seq <= cursor.position):
            return []
        cursor.position = event.seq
        if self._overlap:
            if event.seq <= self._seen.get(channel, 0):
                return []
            self._seen[channel] = event.seq
        return [*self._merge.push(frame.topic, event)]

    def _subscribed(self, cursor: _Cursor, frame: wire.Subscribed) -> tuple[list[Event | Notice], list[wire.Subscribe]]:
        command, cursor.command = cursor.command, None
        if command is None:
            return [], []
        same_log = self._epoch in (None, frame.epoch)
        self._epoch = frame.epoch
        asked = command.after
        if asked is None:
            if command.last is None:
                cursor.position, cursor.level = frame.seq, True
                return [*self._merge.level(frame.topic)], []
            return [], []
        cursor.position = asked  # what comes now and is not newer was seen
        if frame.recovered:
            return [], []
        if same_log and asked <= frame.seq:
            text = f"{frame.topic}: events after {asked} are no longer kept; going on with the newest {RELOAD}"
            return [Notice("gap", text)], [self._subscribe(frame.topic, cursor, reload=True)]
        if same_log:
            why = f"position {asked} is beyond the end of the log ({frame.seq})"
        else:
            why = "the server has another log than before; events may be missing"
        self._seen.clear()
        cursor.position, cursor.level = frame.seq, True
        return [Notice("gap", f"{frame.topic}: {why}; going on from here"), *self._merge.level(frame.topic)], []


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
