"""What every log engine promises.

The log is the chat: an event is accepted once, when the log holds it. Everything else is a reader with a position
in it. An engine is one file that passes the contract suite in ``tests/contract``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from ..errors import LogFailed, Refused
from ..model import MAX_SEQ, Event, Pattern
from .maintenance.pruning import Plan


class Submission(msgspec.Struct, gc=False):
    """An event somebody wants accepted, with what only the log needs to know.

    Attributes:
        event: the event; the log sets its ``seq``.
        text: the words of a message, for the seed's ``text`` column; empty for other events.
        derived: whether ``event.data`` holds nothing but the event's own columns and ``text``, so that it need not
            be stored twice.
        timestamp_given: whether the author set the timestamp; one that the server set is not part of the content
            that makes a retry the same.
    """

    event: Event
    text: str = ""
    derived: bool = False
    timestamp_given: bool = False


class Appended(msgspec.Struct, gc=False, frozen=True):
    """A submission that is accepted: ``seq`` is ``None`` for an ephemeral event."""

    seq: int | None
    duplicate: bool = False


Outcome = Appended | Refused


class Query(msgspec.Struct, frozen=True):
    """Which persisted events to read; every bound is optional.

    Attributes:
        pattern: only channels that match; ``None`` means all.
        after: only a greater ``seq``.
        upto: only this ``seq`` or a smaller one.
        limit: at most so many.
        newest: when more than ``limit`` match, the newest rather than the oldest. The result is oldest first anyhow.
        since: only this Unix time in milliseconds or later.
        until: only an earlier Unix time in milliseconds.
        user: only this author.
        event: only events of this name.
        max_bytes: end the page with the event that takes its texts and data past so many bytes; a page has at least
            one event where there is one.
    """

    pattern: Pattern | None = None
    after: int = 0
    upto: int = MAX_SEQ
    limit: int = 50
    newest: bool = False
    since: int | None = None
    until: int | None = None
    user: str | None = None
    event: str | None = None
    max_bytes: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Events in ``seq`` order, and how far the read has come.

    Attributes:
        events: what was found.
        position: everything that matches with a ``seq`` up to here is in this page or before it.
        more: whether something that matches may follow.
    """

    events: list[Event]
    position: int
    more: bool


class ChannelStats(msgspec.Struct, frozen=True):
    """A channel that has persisted events; ``last_time`` is Unix milliseconds."""

    channel: str
    events: int
    last_seq: int
    last_time: int


class Pruned(msgspec.Struct, frozen=True):
    """What pruning did: how many events are gone, and whether that was all of the plan."""

    removed: int
    done: bool


Listener = Callable[[list[Event]], None]
Failed = Callable[[LogFailed], None]


class Log(ABC):
    """An ordered, durable record of events, and the feed of what it accepts.

    Positions rise strictly in commit order, from 1; a position is never given twice within an epoch, even when the
    events that had the last ones are pruned.

    Attributes:
        epoch: the log's identity; another epoch means that positions do not compare.
        head: the greatest position that is durable, 0 when there is none.
        floor: everything with a greater ``seq`` is still kept.
        engine: what it is made of, with its version, for people.
        trouble: why the last batch was refused whole, a full disk for one; ``None`` once one is accepted.
    """

    epoch: str
    head: int
    floor: int
    engine: str = ""
    trouble: str | None = None

    @abstractmethod
    def listen(self, listener: Listener, failed: Failed | None = None) -> None:
        """Set the one reader of the feed, and who is told when the log fails between two batches.

        The listener is called on the event loop with every accepted batch, in commit order, ephemeral events in their places
        among the persisted ones, before :meth:`append` returns to whoever appended it. It must not raise.
        """

    @abstractmethod
    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        """Accept a batch, all of its new events in one transaction, or none of them.

        Must not be called again before it has returned, which it may do without giving the loop a turn.

        Returns:
            One outcome a submission, in order. The same id with the same content gives the first position with
            ``duplicate`` set and is not fed again; with other content, ``id_conflict``. When there is no room,
            ``disk_full`` for every persisted event, and later batches may succeed.

        Raises:
            LogFailed: the outcome is unknown. Ephemeral events were not fed. The log takes no more writes.
        """

    async def probe(self) -> str | None:
        """Find out, by a write that changes nothing, whether :attr:`trouble` is over; what is left of it."""
        return self.trouble

    @abstractmethod
    async def read(self, query: Query) -> Page:
        """Read one page of committed events; never blocks an append for longer than one page.

        A page holds nothing beyond what the feed had told when it was asked for, so that a reader who goes on from
        it to the feed gets nothing twice.

        Raises:
            LogError: the page cannot be read.
        """

    @abstractmethod
    async def start_of_last(self, pattern: Pattern, count: int) -> int:
        """The position after which there are the newest ``count`` events of ``pattern``, or all where there are fewer.

        Raises:
            LogError: it cannot be read.
        """

    @abstractmethod
    async def prune(
        self, plan: Plan, progress: Callable[[int], None] | None = None, limit: int | None = None
    ) -> Pruned:
        """Remove the oldest events, in steps between which appends go on; :attr:`floor` moves with each step.

        Args:
            plan: what is to go.
            progress: called on the loop after each step, with how many are gone.
            limit: stop after the step that reaches so many.

        Raises:
            LogError: it could not go on; what was removed before is gone.
        """

    @abstractmethod
    async def channels(self) -> list[ChannelStats]:
        """Every channel that has persisted events, by name."""

    def gauges(self) -> dict[str, tuple[str, float]]:
        """What else an engine has to say about itself: name -> help text and value. Cheap, and on the loop."""
        return {}

    @abstractmethod
    async def close(self) -> None:
        """Finish the append in progress, checkpoint, release the file. Idempotent."""
