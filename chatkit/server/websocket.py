"""One WebSocket connection: the input and output side. What may be said is the session's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, cast

import msgspec

from .. import wire
from ..errors import CloseCode, LogError, Refused
from ..log.base import Outcome, Query, Submission
from ..model import Pattern, Topic
from . import presence
from .context import Context, logger
from .cursor import catch_up
from .frames import PING, Receiver, close_frame, text_frame
from .session import Session, error_for
from .submissions import Author, resolve_channel
from .subscription import State, Subscription
from .wheel import Timed

_PONG = text_frame(wire.encode(wire.Pong()))
_CLOSE_GRACE_S = 2.0


class Link(asyncio.Protocol, Timed):
    """One client.

    It has no task of its own but :func:`~chatkit.server.cursor.catch_up`, while one of its subscriptions is behind.

    Attributes:
        session: what it may say.
        write: write bytes to the socket; replaced by a no-op once it is closing.
        is_paused: its queue is over the limit.
    """

    __slots__ = (
        "_catching_up",
        "_closing",
        "_context",
        "_has_left",
        "_heard",
        "_ping_sent",
        "_ranks",
        "_receiver",
        "_resumed",
        "_stalled_since",
        "_subscriptions",
        "_transport",
        "_unsent",
        "is_paused",
        "session",
        "write",
    )  # fmt: skip

    def __init__(self, context: Context, session: Session, transport: asyncio.Transport) -> None:
        self._context = context
        self._transport = transport
        self._receiver = Receiver(context.config.max_message_bytes)
        self._subscriptions: dict[str, Subscription] = {}
        self._ranks = 0
        self._heard = True
        self._ping_sent = False
        self._closing = False
        self._has_left = False
        self._unsent = 0
        self._stalled_since: float | None = None
        self._catching_up = False
        self._resumed: asyncio.Event | None = None
        self.is_paused = False
        self.session = session
        self.write: Callable[[bytes], None] = transport.write
        transport.set_write_buffer_limits(high=context.config.max_queued_bytes)
        context.links.add(self)
        session.author.grant.join(self)
        context.wheel.add(self, context.config.ping_interval_s)

    # -------------------------------------------------------------------------------------------- the socket

    def data_received(self, data: bytes) -> None:
        self._heard = True
        received = self._receiver.receive(data)
        if not self._closing:
            for message in received.messages:
                self._message(message)
            if received.reply:
                self.write(received.reply)
        if received.close_code is not None:
            self._end()
            if received.is_over:
                self._transport.close()
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def eof_received(self) -> bool:
        self._end()
        return False  # nothing half-closed: the transport closes when the queue is out, or with the next tick

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._leave()
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
        self._catch_up()

    def tick(self, now_s: float) -> float | None:
        """Ping a quiet connection, close a dead or stalled one."""
        config = self._context.config
        if self._closing:
            self._transport.abort()  # close() would keep a stalled peer's buffer for ever
            return None
        unsent = self._transport.get_write_buffer_size()
        if unsent:  # a ping would wait behind this; what counts is whether any byte is taken
            return self._tick_unsent(unsent, now_s)
        self._stalled_since = None
        if self._heard:
            self._heard = self._ping_sent = False
            return config.ping_interval_s
        if self._ping_sent:
            self.close(CloseCode.PING_TIMEOUT, "no answer to a ping")
            return None
        self._ping_sent = True
        self.write(PING)
        return config.ping_timeout_s

    def _tick_unsent(self, unsent: int, now_s: float) -> float | None:
        config = self._context.config
        if self._stalled_since is None or unsent < self._unsent:
            self._stalled_since = now_s
        self._unsent = unsent
        if now_s - self._stalled_since >= config.stall_timeout_s:
            logger.info("closing a stalled subscriber: %d bytes not taken for %.0f s", unsent, config.stall_timeout_s)
            self.close(CloseCode.STALLED, "no byte taken")
            return None
        return min(5.0, config.stall_timeout_s / 4)

    def close(self, code: int, reason: str) -> None:
        """Say why, and close when the peer has answered (RFC 6455, 7.1.1). Idempotent.

        Closing at once would reset a connection on which the peer is still writing, and it might never read why.
        """
        if not self._closing:
            self.write(close_frame(code, reason))
            self._end()

    def abort(self) -> None:
        """Close now, whatever waits to be written."""
        self._transport.abort()

    def _end(self) -> None:
        """Take no more commands, and see to it that the connection is gone soon, whatever the peer does."""
        self._closing = True
        self._leave()
        if self.is_paused:
            self._transport.resume_reading()
        self._context.wheel.add(self, _CLOSE_GRACE_S)

    def _leave(self) -> None:
        """Drop everything that others know this connection by. Idempotent."""
        self.write = _discard
        for subscription in self._subscriptions.values():
            self._context.hub.remove(subscription)
        self._subscriptions = {}
        if not self._has_left:
            self._has_left = True
            self.session.author.grant.leave(self)
        self._untrack_all()

    def _untrack_all(self) -> None:
        tracked, self.session.tracked = self.session.tracked, set()
        for channel in tracked:
            self._announce(self._context.presence.untrack(channel, self._user_id, self))

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

    def _catch_up(self) -> None:
        if not self._catching_up and self.behind():
            self._catching_up = True
            self._context.spawn(self._run_catch_up())

    async def _run_catch_up(self) -> None:
        try:
            await catch_up(self, self._context.hub, self._context.pages)
        except LogError as error:
            logger.error("replay failed: %s", error)
            self.close(CloseCode.SERVICE_RESTART, "the log cannot be read")
        finally:
            self._catching_up = False

    # ------------------------------------------------------------------------------------------ the commands

    def _message(self, payload: bytes) -> None:
        if self._closing:
            return
        try:
            payload.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.INVALID_DATA, "not UTF-8")
            return
        try:
            command = self.session.decode(payload)
            if not self.session.author.grant.is_free:
                self.session.check_right(command)
            self._handlers[type(command)](self, command)
        except Refused as error:
            self.send(error_for(payload, error))

    def send(self, frame: msgspec.Struct) -> None:
        """Send one frame."""
        self.write(text_frame(wire.encode(frame)))

    def _subscribe(self, command: wire.Subscribe) -> None:
        topic = self.session.topic(command.topic)
        held = self._subscriptions.get(topic.name)
        self.session.check_subscribe(command, len(self._subscriptions) - (held is not None))
        self.session.author.grant.check_read(topic.pattern)
        if held is not None:
            self._forget(held)
        self._ranks += 1
        subscription = Subscription(self, topic, command.filter, self._ranks)
        self._subscriptions[topic.name] = subscription
        self._context.hub.add(subscription)
        self._find_rivals(subscription)
        if command.last:
            self._context.spawn(self._subscribe_last(subscription, command.last))
            return
        self._start(subscription, command)

    async def _subscribe_last(self, subscription: Subscription, last: int) -> None:
        """Find the position before the newest ``last`` events, then replay from there."""
        pattern = subscription.topic.pattern
        try:
            page = await self._context.log.read(Query(pattern, limit=last, newest=True))
        except LogError as error:
            logger.error("replay failed: %s", error)
            self.close(CloseCode.SERVICE_RESTART, "the log cannot be read")
            return
        if subscription.state is State.ENDED:
            return
        after = (page.events[0].seq or 1) - 1 if page.events else page.position
        self._start(subscription, wire.Subscribe(subscription.topic.name, after=after))

    def _start(self, subscription: Subscription, command: wire.Subscribe) -> None:
        hub, log = self._context.hub, self._context.log
        wanted = command.after
        recovered = wanted is not None and command.epoch in (None, log.epoch) and log.floor <= wanted <= hub.position
        name = subscription.topic.name
        answer = wire.Subscribed(name, log.epoch, hub.position, recovered if wanted is not None else True)
        self.send(answer)
        self._sync_presence(subscription.topic)
        subscription.start = subscription.position = wanted if recovered and wanted is not None else hub.position
        if subscription.position == hub.position and not self.is_paused:
            hub.join(subscription)
            if wanted is not None:
                self.send(wire.Live(name, hub.position))
        else:
            subscription.state = State.REPLAYING if wanted is not None else State.LAGGING
            self._catch_up()

    def _sync_presence(self, topic: Topic) -> None:
        """Tell a new subscriber who is here; where nobody is, nothing needs to be told."""
        pattern = topic.pattern
        channels = [pattern.text] if pattern.is_channel else self._matching(pattern)
        for channel in channels:
            users = self._context.presence.users(channel)
            if users:
                data = wire.encode(wire.Users(users))
                event = self._context.maker.ephemeral(channel, presence.SYNC, "", data).event
                named = None if pattern.is_channel else channel
                self.write(text_frame(wire.encode_event(event, topic.name, named)))

    def _matching(self, pattern: Pattern) -> list[str]:
        return [channel for channel in self._context.presence.channels() if pattern.matches(channel)]

    def _find_rivals(self, subscription: Subscription) -> None:
        """Note which others may want the same event: with one subscription, or different channels only, none."""
        pattern = subscription.topic.pattern
        rivals = [
            other
            for other in self._subscriptions.values()
            if other is not subscription and other.topic.pattern.may_overlap(pattern)
        ]
        subscription.rivals = tuple(rivals)
        for other in rivals:
            other.rivals += (subscription,)
            self._context.hub.replace(other)

    def _forget(self, subscription: Subscription) -> None:
        del self._subscriptions[subscription.topic.name]
        self._context.hub.remove(subscription)
        for other in subscription.rivals:
            other.rivals = tuple(rival for rival in other.rivals if rival is not subscription)
            self._context.hub.replace(other)

    def _unsubscribe(self, command: wire.Unsubscribe) -> None:
        subscription = self._subscriptions.get(command.topic)
        if subscription is None:
            self.session.topic(command.topic)  # a name that cannot be is an error, one that is not subscribed is not
        else:
            self._forget(subscription)
        self.send(wire.Unsubscribed(command.topic))

    def _publish(self, command: wire.Publish) -> None:
        self._submit(
            self._context.maker.event(
                self.session.author,
                command.topic,
                command.event,
                command.data,
                persist=bool(command.persist),
                event_id=command.id,
            )
        )

    def _chat(self, command: wire.Chat) -> None:
        self._submit(
            self._context.maker.message(
                self.session.author, command.roomId, command.text, event_id=command.id, metadata=command.metadata
            )
        )

    def _submit(self, submission: Submission) -> None:
        self._context.journal.submit(submission, self._done)

    def _done(self, submission: Submission, outcome: Outcome) -> None:
        event_id = submission.event.id
        if isinstance(outcome, Refused):
            self.send(wire.ErrorFrame(outcome.code, outcome.message, event_id))
        else:
            self.send(wire.Ack(event_id, outcome.seq, outcome.duplicate))

    def _track(self, command: wire.Track) -> None:
        channel = resolve_channel(command.topic, self.session.author.projects)
        self.session.check_track(channel)
        self._context.maker.check(self.session.author, channel, self._user_id)
        state = wire.checked_json(command.state, "state")
        change = self._context.presence.track(channel, self._user_id, self, state)
        self.session.tracked.add(channel)
        self._announce(change)

    def _untrack(self, command: wire.Untrack) -> None:
        channel = resolve_channel(command.topic, self.session.author.projects)
        self.session.tracked.discard(channel)
        self._announce(self._context.presence.untrack(channel, self._user_id, self))

    def _announce(self, change: presence.Change | None) -> None:
        if change is None:
            return
        submission = self._context.maker.ephemeral(change.channel, change.event, change.user_id, change.data)
        try:
            self._context.journal.submit(submission, _ignore)
        except Refused:
            return  # stopping or overloaded: presence is about now, and now it cannot be told

    def _auth(self, command: wire.Auth) -> None:
        """Go on as whoever the token says; a key of somebody else's system is ignored where none is wanted."""
        try:
            grant = self._context.access.of_credential(command.token)
        except Refused as error:
            self.send(error_for(b"", error))
            self.close(CloseCode.NOT_AUTHORIZED, error.message)
            return
        if grant is None or grant is self.session.author.grant:
            return
        if grant.allowance is not None and grant.allowance is not self.session.author.grant.allowance:
            grant.allowance.check_links()
        if grant.name != self._user_id:  # presence is of a user: the new one says what they track
            self._untrack_all()
        grant.join(self)
        self.session.author.grant.leave(self)
        self.session.author = Author(grant.name, self.session.author.projects, grant)
        for channel in [channel for channel in self.session.tracked if not grant.may_send(channel)]:
            self._untrack(wire.Untrack(channel))
        for held in list(self._subscriptions.values()):
            try:
                grant.check_read(held.topic.pattern)
            except Refused as error:
                self._forget(held)
                self.send(wire.ErrorFrame(error.code, error.message, topic=held.topic.name))

    def _ping(self, command: wire.Ping) -> None:
        self.write(_PONG)

    @property
    def _user_id(self) -> str:
        return self.session.author.user_id or "anonymous"

    #: What a session accepts; a test enumerates it against the protocol.
    _handlers: ClassVar[dict[type[wire.Command], Callable[[Link, Any], None]]] = cast(
        "dict[type[wire.Command], Callable[[Link, Any], None]]",
        {
            wire.Subscribe: _subscribe,
            wire.Unsubscribe: _unsubscribe,
            wire.Publish: _publish,
            wire.Chat: _chat,
            wire.Track: _track,
            wire.Untrack: _untrack,
            wire.Auth: _auth,
            wire.Ping: _ping,
        },
    )


def _discard(data: bytes) -> None:
    """A write to a connection that is closing."""


def _ignore(submission: Submission, outcome: Outcome) -> None:
    """Nobody waits for this one."""
