"""Who is here: per channel and user one state, for as long as one of the user's connections tracks it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import msgspec

from .. import wire

JOIN: Final = "presence:join"
UPDATE: Final = "presence:update"
LEAVE: Final = "presence:leave"
SYNC: Final = "presence:sync"


class Change(msgspec.Struct, frozen=True):
    """What subscribers are to be told: an ephemeral event ``event`` with ``data``, JSON in UTF-8."""

    channel: str
    user_id: str
    event: str
    data: bytes


class _Entry:
    __slots__ = ("connections", "state")

    def __init__(self) -> None:
        self.connections: set[Hashable] = set()
        self.state: bytes = b"{}"


class Presence:
    """The presence of every channel, in memory only: it is about now.

    A connection is any hashable value; the same user on several connections is one presence.
    """

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, _Entry]] = {}

    def track(self, channel: str, user_id: str, connection: Hashable, state: bytes) -> Change:
        """Be present, or change the state (one JSON value)."""
        users = self._channels.setdefault(channel, {})
        entry = users.get(user_id)
        event = UPDATE if entry is not None else JOIN
        if entry is None:
            entry = users[user_id] = _Entry()
        entry.connections.add(connection)
        entry.state = state
        return self._change(channel, user_id, event, entry)

    def untrack(self, channel: str, user_id: str, connection: Hashable) -> Change | None:
        """Stop being present on one connection; ``None`` when it was not."""
        users = self._channels.get(channel, {})
        entry = users.get(user_id)
        if entry is None or connection not in entry.connections:
            return None
        entry.connections.discard(connection)
        if entry.connections:
            return self._change(channel, user_id, UPDATE, entry)
        del users[user_id]
        if not users:
            del self._channels[channel]
        return self._change(channel, user_id, LEAVE, entry)

    def users(self, channel: str) -> list[wire.Present]:
        """Who is here, in the order they came."""
        return [_present(user_id, entry) for user_id, entry in self._channels.get(channel, {}).items()]

    def channels(self) -> list[str]:
        """Channels on which somebody is present."""
        return list(self._channels)

    def _change(self, channel: str, user_id: str, event: str, entry: _Entry) -> Change:
        return Change(channel, user_id, event, wire.encode(_present(user_id, entry)))


def _present(user_id: str, entry: _Entry) -> wire.Present:
    return wire.Present(user_id, msgspec.Raw(entry.state), len(entry.connections))
