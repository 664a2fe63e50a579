"""One WebSocket connection: the input and output side. What may be said is the session's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, cast

import msgspec

from .. import wire
from ..errors import CloseCode, Refused
from ..log.base import Outcome, Submission
from ..model import Pattern, Topic
from . import presence
from .context import Context
from .frames import PING, Receiver, close_frame, text_frame
from .outlet import Outlet
from .session import Session, error_for
from .submissions import Author, resolve_channel
from .subscription import Subscription

_PONG = text_frame(wire.encode(wire.Pong()))


class Link(Outlet):
    """One client.

    Attributes:
        session: what it may say.
    """

    __slots__ = ("_heard", "_ping_sent", "_ranks", "_receiver", "session")

    def __init__(self, context: Context, session: Session, transport: asyncio.Transport, number: int) -> None:
        super().__init__(context, transport, number, session.author.grant)
        self._receiver = Receiver(context.config.max_message_bytes)
        self._ranks = 0
        self._heard = True
        self._ping_sent = False
        self.session = session
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
            self.shut()
            if received.is_over:
                self._transport.close()
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def tick_level(self) -> float | None:
        """Ping a quiet connection, close one that did not answer."""
        config = self._context.config
        if self._heard:
            self._heard = self._ping_sent = False
            return config.ping_interval_s
        if self._ping_sent:
            self.close(CloseCode.PING_TIMEOUT, "no answer to a ping")
            return None
        self._ping_sent = True
        self.write(PING)
        return config.ping_timeout_s

    def close(self, code: int, reason: str) -> None:
        """Say why, and close when the peer has answered (RFC 6455, 7.1.1). Idempotent.

        Closing at once would reset a connection on which the peer is still writing, and it might never read why.
        """
        if not self._closing:
            self.write(close_frame(code, reason))
            self.shut()

    def leave(self) -> None:
        super().leave()
        self._untrack_all()

    def _untrack_all(self) -> None:
        tracked, self.session.tracked = self.session.tracked, frozenset()
        for channel in tracked:
            self._announce(self._context.presence.untrack(channel, self._user_id, self))

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
            self._context.counters.refuse(error)
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
        self.subscribe(Subscription(self, topic, command.filter, self._ranks), command)

    def greet(self, topic: Topic) -> None:
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

    def subscribed(self, subscription: Subscription) -> None:
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
            self._context.counters.refuse(outcome)
            self.send(wire.ErrorFrame(outcome.code, outcome.message, event_id))
        else:
            self._context.counters.duplicates += outcome.duplicate
            self.send(wire.Ack(event_id, outcome.seq, outcome.duplicate))

    def _track(self, command: wire.Track) -> None:
        channel = resolve_channel(command.topic, self.session.author.projects)
        self.session.check_track(channel)
        self._context.maker.check(self.session.author, channel, self._user_id)
        state = wire.checked_json(command.state, "state")
        change = self._context.presence.track(channel, self._user_id, self, state)
        self.session.tracked |= {channel}
        self._announce(change)

    def _untrack(self, command: wire.Untrack) -> None:
        channel = resolve_channel(command.topic, self.session.author.projects)
        self.session.tracked -= {channel}
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
        self.regrant(grant)
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


def _ignore(submission: Submission, outcome: Outcome) -> None:
    """Nobody waits for this one."""
