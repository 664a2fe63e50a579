"""What a client sends, checked and made into what the log accepts. Pure: the time and fresh ids are passed in."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from .. import wire
from ..errors import InvalidName, Refused
from ..log.base import Submission
from ..model import (
    CHAT,
    CHAT_MESSAGE,
    MAX_EVENT_CHARS,
    MAX_ID_CHARS,
    MAX_SEQ,
    MAX_USER_CHARS,
    Event,
    check_channel,
    check_room,
    check_text,
    strip_project,
)
from .rights import OPEN, Grant

ANONYMOUS: Final = "anonymous"


class Author(msgspec.Struct, frozen=True):
    """Who is sending, and how they name things.

    Attributes:
        user_id: their identity, ``None`` when they have none.
        projects: ids that they may append to a topic.
        grant: what they may do.
    """

    user_id: str | None
    projects: frozenset[str]
    grant: Grant = OPEN

    def check(self, channel: str, user_id: str, now_ms: Callable[[], int]) -> None:
        """Check that they may send to ``channel`` as ``user_id``, now.

        Raises:
            Refused: ``forbidden`` or ``rate_limited``.
        """
        grant = self.grant
        if not grant.may_send(channel):
            grant.check_send(channel)
        if grant.name is not None:
            grant.check_user(user_id)
        if grant.bucket is not None:
            grant.bucket.take(now_ms() / 1000)


class Maker:
    """Makes submissions.

    Args:
        now_ms: Unix time in milliseconds.
        new_id: a fresh, ordered id.
    """

    def __init__(self, now_ms: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._now_ms = now_ms
        self._new_id = new_id

    def message(
        self,
        author: Author,
        room: str,
        text: str,
        *,
        event_id: str | None = None,
        user_id: str | None = None,
        timestamp: int | None = None,
        metadata: msgspec.Raw = wire.NULL,
    ) -> Submission:
        """A ``chat:message`` to a room.

        Raises:
            Refused: ``invalid_field`` or ``invalid_topic``, naming the field; ``forbidden``; ``rate_limited``.
        """
        channel = _room_channel(room, author.projects)
        if not text or text.isspace():
            raise Refused("invalid_field", "`text` is empty")
        if timestamp is not None and not 0 <= timestamp <= MAX_SEQ:
            raise Refused("invalid_field", "`timestamp` should be Unix milliseconds")
        event_id = self._new_id() if event_id is None else checked_id(event_id)
        user = author.user_id or ANONYMOUS if user_id is None else checked_user(user_id)
        if not author.grant.is_free:
            author.check(channel, user, self._now_ms)
        when = self._now_ms() if timestamp is None else timestamp
        extra = b"null" if metadata is wire.NULL else wire.checked_json(metadata, "metadata")
        derived = extra == b"null"
        data = wire.message_data(event_id, user, text, when, None if derived else msgspec.Raw(extra))
        event = Event(channel, CHAT_MESSAGE, event_id, user, when, data)
        return Submission(event, text, derived=derived, timestamp_given=timestamp is not None)

    def event(
        self,
        author: Author,
        topic: str,
        name: str,
        data: msgspec.Raw,
        *,
        persist: bool = False,
        event_id: str | None = None,
        user_id: str | None = None,
    ) -> Submission:
        """Any event to any channel.

        Raises:
            Refused: ``invalid_field`` or ``invalid_topic``, naming the field; ``forbidden``; ``rate_limited``.
        """
        channel = resolve_channel(topic, author.projects)
        _checked("event", "event", name, MAX_EVENT_CHARS)
        if name.startswith("presence:"):
            raise Refused("invalid_field", "`event`: names that start with 'presence:' are the server's own")
        payload = wire.checked_json(data, "data")
        event_id = self._new_id() if event_id is None else checked_id(event_id)
        user = author.user_id or ANONYMOUS if user_id is None else checked_user(user_id)
        if not author.grant.is_free:
            author.check(channel, user, self._now_ms)
        event = Event(channel, name, event_id, user, self._now_ms(), payload, None, persist)
        return Submission(event, _text_of(payload) if persist and name == CHAT_MESSAGE else "")

    def check(self, author: Author, channel: str, user_id: str) -> None:
        """As :meth:`Author.check`, now."""
        author.check(channel, user_id, self._now_ms)

    def ephemeral(self, channel: str, name: str, user_id: str, data: bytes) -> Submission:
        """An event of the server's own."""
        return Submission(Event(channel, name, self._new_id(), user_id, self._now_ms(), data, None, persist=False))


@lru_cache(maxsize=16384)
def _room_channel(room: str, projects: frozenset[str]) -> str:
    """The channel of a room as a client names it; remembered, since rooms come again."""
    try:
        return check_room(strip_project(f"{CHAT}/{room}", projects).partition("/")[2])
    except InvalidName as error:
        raise Refused("invalid_topic", f"`roomId`: {error}") from None


def checked_id(event_id: str) -> str:
    """Return ``event_id`` if it may be one.

    Raises:
        Refused: ``invalid_field``.
    """
    return _checked("id", "id", event_id, MAX_ID_CHARS)


@lru_cache(maxsize=4096)
def checked_user(user_id: str) -> str:
    """Return ``user_id`` if it may be one; as :func:`checked_id`."""
    return _checked("userId", "user", user_id, MAX_USER_CHARS)


def checked_project(project_id: str) -> str:
    """Return ``project_id`` if it may be one; as :func:`checked_id`.

    It becomes part of names that are remembered, so it has a length.
    """
    return _checked("projectId", "project", project_id, MAX_USER_CHARS)


def _checked(field: str, what: str, value: str, max_chars: int) -> str:
    try:
        return check_text(what, value, max_chars)
    except InvalidName as error:
        raise Refused("invalid_field", f"`{field}`: {error}") from None


def resolve_channel(topic: str, projects: frozenset[str]) -> str:
    """The channel a client means by ``topic``.

    Raises:
        Refused: ``invalid_topic``.
    """
    try:
        return check_channel(strip_project(topic, projects))
    except InvalidName as error:
        raise Refused("invalid_topic", str(error)) from None


def _text_of(payload: bytes) -> str:
    """The text of a message that came as an event, for the log's ``text`` column."""
    data = wire.anything.decode(payload)
    text = data.get("text") if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""
