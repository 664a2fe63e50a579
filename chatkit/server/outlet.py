"""The side of a connection that events leave by, whatever their format: live, lagging, catching up, stalled."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Final

import msgspec

from .. import wire
from ..errors import CloseCode, LogError
from ..model import Topic
from .backlog import Backlog, left
from .context import Context, logger
from .cursor import catch_up
from .rights import NOBODY, Grant
from .subscription import State, Subscription
from .wheel import Timed

#: How long a connection that is closing may take to take its last bytes.
_CLOSE_GRACE_S: Final = 2.0


class Outlet(asyncio.Protocol, Timed):
    """One subscriber's connection.

    It has no task of its own but :func:`~chatkit.server.cursor.catch_up`, while one of its subscriptions is behind.

    Attributes:
        grant: who is at the other end, and what they may do; :data:`NOBODY` once it has left.
        number: the connection's, for the server's log.
        write: write bytes to the socket; replaced by a no-op once it is closing.
        is_paused: its queue is over the limit.
    """

    __slots__ = (
        "_backlog",
        "_catching_up",
        "_closing",
        "_context",
        "_resumed",
        "_subscriptions",
        "_transport",
        "grant",
        "is_paused",
        "number",
        "write",
    )

    def __init__(self, context: Context, transport: asyncio.Transport, number: int, grant: Grant) -> None:
        self._context = context
        self._transport = transport
        self._subscriptions: dict[str, Subscription] = {}
        self._backlog: Backlog | None = None
        self._catching_up = False
        self._closing = False
        self._resumed: asyncio.Event | None = None
        self.is_paused = False
        self.number = number
        self.write: Callable[[bytes], None] = transport.write
        transport.set_write_buffer_limits(high=context.config.max_queued_bytes)
        context.links.add(self)
        self.grant = grant
        grant.join(self)

    @abstractmethod
    def send(self, frame: msgspec.Struct) -> None:
        """Send one of the server's frames, in this connection's format."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Say why, as far as the format has a way to, and close. Idempotent."""

    @property
    def unsent(self) -> int:
        """Bytes that are queued."""
        return self._transport.get_write_buffer_size()

    # -------------------------------------------------------------------------------------------- the socket

    def eof_received(self) -> bool:
        self.shut()
        return False  # nothing half-closed: the transport closes when the queue is out, or with the next tick

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self.leave()
        self._context.hub.forget(self)
        self._context.forget(self)
        if self._resumed is not None:
            self._resumed.set()

    def pause_writing(self) -> None:
        self.is_paused = True
        self._transport.pause_reading()  # one that does not read its answers may not ask for more
        self._context.hub.over_limit(self)

    def resume_writing(self) -> None:
        self.is_paused = False
        if self._closing:
            return
        self._transport.resume_reading()
        if self._resumed is not None:
            self._resumed.set()
        self.start_catching_up()

    def shut(self) -> None:
        """Do nothing more for the peer, and see to it that the connection is gone soon, whatever it does."""
        self._closing = True
        self.leave()
        if self.is_paused:
            self._transport.resume_reading()
        self._context.wheel.add(self, _CLOSE_GRACE_S)

    def abort(self) -> None:
        """Close now, whatever waits to be written."""
        self._transport.abort()

    def leave(self) -> None:
        """Drop everything that others know this connection by. Idempotent."""
        self.write = _discard
        for subscription in self._subscriptions.values():
            self._context.hub.remove(subscription)
        self._subscriptions = {}
        self.regrant(NOBODY)

    def regrant(self, grant: Grant) -> None:
        """Go on with another grant."""
        old, self.grant = self.grant, grant
        grant.join(self)
        old.leave(self)

    # ------------------------------------------------------------------------------------------- the deadlines

    def tick(self, now_s: float) -> float | None:
        """Close a dead or stalled connection; one that takes what is written is asked by :meth:`tick_level`."""
        if self._closing:
            self._transport.abort()  # close() would keep a stalled peer's buffer for ever
            return None
        stalled = self.is_stalled(now_s)
        if stalled:
            self.note_stalled()
            self.close(CloseCode.STALLED, "no byte taken")
            return None
        if stalled is not None:  # a ping would wait behind what is unsent; what counts is whether any byte is taken
            return min(5.0, self._context.config.stall_timeout_s / 4)
        return self.tick_level()

    @abstractmethod
    def tick_level(self) -> float | None:
        """Keep a connection alive on which nothing is unsent; as :meth:`~chatkit.server.wheel.Timed.tick`."""

    def is_stalled(self, now_s: float) -> bool | None:
        """Whether the peer takes nothing at all of what is written to it: ``None`` when nothing waits.

        Whether it took something shows only in what was written against what is left, so while something is left,
        and only then, writes are counted.
        """
        unsent = self._transport.get_write_buffer_size()
        backlog = self._backlog
        if not unsent:
            if backlog is not None:
                self._backlog = None
                self._write_by(self._transport.write)
            return None
        if backlog is None:
            self._backlog = Backlog(left(self._transport), now_s)
            self._write_by(self._write_counted)
            return False
        backlog.look(left(self._transport), now_s)
        return now_s - backlog.since_s >= self._context.config.stall_timeout_s

    def _write_counted(self, data: bytes) -> None:
        if self._backlog is not None:
            self._backlog.written += len(data)
        self._transport.write(data)

    def _write_by(self, write: Callable[[bytes], None]) -> None:
        self.write = write
        for subscription in self._subscriptions.values():
            self._context.hub.replace(subscription)  # the hub keeps the write of each live one

    # ------------------------------------------------------------------------------------------- the cursors

    def behind(self) -> list[Subscription]:
        """Subscriptions that are not live; none once the socket is closing, which frees no queue any more."""
        if self._transport.is_closing():
            return []
        return [item for item in self._subscriptions.values() if item.state in (State.REPLAYING, State.LAGGING)]

    async def writable(self) -> None:
        """Wait until the queue is below its limit, or the connection is gone."""
        while self.is_paused and not self._closing:
            if self._resumed is None:
                self._resumed = asyncio.Event()
            self._resumed.clear()
            if self._transport.is_closing():
                return
            await self._resumed.wait()

    def fall_behind(self) -> None:
        """Leave the live set; from now on the log is read at this connection's own pace."""
        if not self.is_paused:
            return  # it caught up within the same turn of the loop
        for subscription in self._subscriptions.values():
            if subscription.state is State.LIVE:
                self._context.hub.leave(subscription, State.LAGGING)

    def start_catching_up(self) -> None:
        """Read on from the log, if something is behind."""
        if not self._catching_up and self.behind():
            self._catching_up = True
            self._context.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            await catch_up(self, self._context.hub, self._context.pages)
        except LogError as error:
            self._cannot_read(error)
        finally:
            self._catching_up = False

    # ------------------------------------------------------------------------------------------- to begin

    def subscribe(self, subscription: Subscription, command: wire.Subscribe) -> None:
        """Begin a subscription where ``command`` says."""
        self._subscriptions[subscription.topic.name] = subscription
        self._context.hub.add(subscription)
        self.subscribed(subscription)
        if command.last:
            self._context.spawn(self._begin_with_last(subscription, command.last))
        else:
            self._begin(subscription, command)

    def subscribed(self, subscription: Subscription) -> None:
        """A subscription was added, and nothing was sent for it yet."""

    def greet(self, topic: Topic) -> None:
        """A subscriber knows where it begins: what else should it be told before the first event?"""

    async def _begin_with_last(self, subscription: Subscription, last: int) -> None:
        """Find the position before the newest ``last`` events, then replay from there."""
        try:
            after = await self._context.log.start_of_last(subscription.topic.pattern, last)
        except LogError as error:
            self._cannot_read(error)
            return
        if subscription.state is not State.ENDED:
            self._begin(subscription, wire.Subscribe(subscription.topic.name, after=after))

    def _begin(self, subscription: Subscription, command: wire.Subscribe) -> None:
        hub, log = self._context.hub, self._context.log
        wanted = command.after
        recovered = wanted is not None and command.epoch in (None, log.epoch) and log.floor <= wanted <= hub.position
        name = subscription.topic.name
        self.send(wire.Subscribed(name, log.epoch, hub.position, recovered if wanted is not None else True))
        self.greet(subscription.topic)
        subscription.start = subscription.position = wanted if recovered and wanted is not None else hub.position
        if subscription.position == hub.position and not self.is_paused:
            hub.join(subscription)
            if wanted is not None:
                self.send(wire.Live(name, hub.position))
        else:
            subscription.state = State.REPLAYING if wanted is not None else State.LAGGING
            self.start_catching_up()

    def note_stalled(self) -> None:
        """Count and log that the peer takes nothing."""
        self._context.counters.stalled += 1
        logger.info(
            "closing a stalled subscriber: nothing taken for %g s",
            self._context.config.stall_timeout_s,
            extra={"connection": self.number},
        )

    def _cannot_read(self, error: LogError) -> None:
        logger.error("replay failed: %s", error, extra={"connection": self.number})
        self._context.counters.errors += 1
        self.close(CloseCode.SERVICE_RESTART, "the log cannot be read")


def _discard(data: bytes) -> None:
    """A write to a connection that is closing."""
