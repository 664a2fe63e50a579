"""Channels, patterns and events as pure values."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import Final

import msgspec

from .errors import InvalidName

MAX_CHANNEL_BYTES: Final = 200
MAX_SEGMENT_CHARS: Final = 64
MAX_ID_CHARS: Final = 200
MAX_USER_CHARS: Final = 128
MAX_EVENT_CHARS: Final = 128

CHAT: Final = "chat"
_CHAT_PREFIX: Final = f"{CHAT}/"
CHAT_MESSAGE: Final = "chat:message"

#: Positions are JSON integers that JavaScript must hold exactly: below 2**53.
MAX_SEQ: Final = 2**53 - 1

_MARKS: Final = frozenset("._-~:@")
#: The commonest names, told at a glance; what does not match is looked at one segment after the other.
_PLAIN: Final = re.compile(r"(?!table/)[A-Za-z0-9._~:@-]{1,64}(?:/[A-Za-z0-9._~:@-]{1,64})+")
_SEGMENT_HELP: Final = "a segment is 1-64 letters, digits, '.', '_', '-', '~', ':' or '@'"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Event(msgspec.Struct, gc=False):
    """One event on its way to, or out of, the log.

    Attributes:
        channel: where it goes, ``chat/general``.
        event: its name, ``chat:message``.
        id: unique for as long as the event is kept.
        user_id: its author.
        timestamp: Unix milliseconds, as the author or the server set it.
        data: its payload, one JSON value in UTF-8.
        seq: its position in the log; ``None`` while it is not in the log, and for ever when it is ephemeral.
        persist: whether it enters the log.
    """

    channel: str
    event: str
    id: str
    user_id: str
    timestamp: int
    data: bytes
    seq: int | None = None
    persist: bool = True


def check_channel(text: str) -> str:
    """Return ``text`` if it is the name of a channel.

    Raises:
        InvalidName: it is not; the error says what would be right.
    """
    return _check("channel", text)


def check_room(room: str) -> str:
    """Return the channel of ``room``: ``general`` is ``chat/general``.

    Raises:
        InvalidName: the room is empty or breaks the grammar.
    """
    if not room:
        raise InvalidName("room", room, "it is empty; name one such as 'general'")
    return _check("room", f"{CHAT}/{room}")


def channel_of(room_or_channel: str) -> str:
    """Return the channel that a person means: a name without ``/`` is a room.

    Raises:
        InvalidName: it is neither.
    """
    return check_channel(room_or_channel) if "/" in room_or_channel else check_room(room_or_channel)


def room_of(channel: str) -> str:
    """Return the room of a chat channel, and the whole name of any other."""
    return channel.removeprefix(_CHAT_PREFIX)


@lru_cache(maxsize=8192)
def _check(what: str, text: str, *, stars: bool = False) -> str:
    if len(text) <= MAX_CHANNEL_BYTES and _PLAIN.fullmatch(text):
        return text
    if len(text.encode("utf-8", "replace")) > MAX_CHANNEL_BYTES:
        raise InvalidName(what, text, f"it is longer than {MAX_CHANNEL_BYTES} bytes")
    parts = text.split("/")
    if len(parts) < 2:
        raise InvalidName(what, text, "a channel has two or more segments joined by '/', such as 'chat/general'")
    if parts[0] == "table":
        raise InvalidName(what, text, "'table/...' is reserved for database change feeds, which chatkit has none of")
    for place, part in enumerate(parts, 1):
        if stars and (part == "*" or (part == "**" and place == len(parts))):
            continue
        if not _is_segment(part):
            raise InvalidName(what, text, f"segment {place} is {part!r}; {_SEGMENT_HELP}")
    return text


def _is_segment(part: str) -> bool:
    # Combining marks (category M) are part of the letters of many scripts, and str.isalnum() does not count them.
    return 0 < len(part) <= MAX_SEGMENT_CHARS and all(
        char.isalnum() or char in _MARKS or unicodedata.category(char)[0] == "M" for char in part
    )


def check_text(what: str, value: str, max_chars: int) -> str:
    """Return ``value`` if it may be an id, a user or an event name: 1 to ``max_chars``, no control characters.

    Raises:
        InvalidName: it may not.
    """
    if not value:
        raise InvalidName(what, value, "it is empty")
    if len(value) > max_chars:
        raise InvalidName(what, value, f"it is longer than {max_chars} characters")
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidName(what, value, "it has a control character")
    return value


class Pattern(msgspec.Struct, frozen=True):
    """A set of channels: ``*`` stands for one segment, a final ``**`` for one or more.

    A channel's own name is the pattern that matches only itself.
    """

    text: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern or a channel.

        Raises:
            InvalidName: neither; the error says what would be right.
        """
        _check("channel or pattern", text, stars=True)
        return cls(text, tuple(text.split("/")))

    @property
    def is_channel(self) -> bool:
        """Whether the pattern is the name of one channel."""
        return "*" not in self.text

    def matches(self, channel: str) -> bool:
        """Whether ``channel`` is in the set."""
        if self.is_channel:
            return channel == self.text
        parts = channel.split("/")
        if self.parts[-1] == "**":
            if len(parts) < len(self.parts):
                return False
            pairs = zip(self.parts[:-1], parts, strict=False)
        elif len(parts) != len(self.parts):
            return False
        else:
            pairs = zip(self.parts, parts, strict=True)
        return all(want in ("*", have) for want, have in pairs)

    def covers(self, other: Pattern) -> bool:
        """Whether every channel of ``other`` is in this set."""
        if self.parts[-1] == "**":
            if len(other.parts) < len(self.parts):  # a `**` there stands for one segment at least, as here
                return False
            pairs = zip(self.parts[:-1], other.parts, strict=False)
        elif len(other.parts) != len(self.parts):
            return False
        else:
            pairs = zip(self.parts, other.parts, strict=True)
        return all(ours == theirs or (ours == "*" and theirs != "**") for ours, theirs in pairs)

    def may_overlap(self, other: Pattern) -> bool:
        """Whether some channel is in both sets; may say yes where there is none, never no where there is one."""
        if self.is_channel:
            return other.matches(self.text)
        if other.is_channel:
            return self.matches(other.text)
        return all("*" in a or "*" in b or a == b for a, b in zip(self.parts, other.parts, strict=False))


class Form(Enum):
    """The format in which a connection gets its events."""

    WEBSOCKET = "websocket"
    SERVER_SENT = "server-sent"
    LINES = "lines"


class Topic(msgspec.Struct, frozen=True):
    """A channel or pattern as one client names it on the wire, in the form it asked for.

    Attributes:
        name: exactly what the client wrote; every frame to it carries this.
        pattern: what it means, the project suffix dropped.
        form: how its events are written; clients of one name and form get the same bytes.
    """

    name: str
    pattern: Pattern
    form: Form = Form.WEBSOCKET


def strip_project(name: str, projects: frozenset[str]) -> str:
    """Drop a last segment that is a project id, as long as a channel (two segments) is left."""
    head, _, last = name.rpartition("/")
    return head if last in projects and "/" in head else name


@lru_cache(maxsize=16384)
def parse_topic(name: str, projects: frozenset[str]) -> Topic:
    """Read a topic as a client of one of ``projects`` names it; subscribers that name it alike share what it gives.

    Raises:
        InvalidName: what is left is no channel and no pattern.
    """
    return Topic(name, Pattern.parse(strip_project(name, projects)))
