"""What a reader of the log is handed: events, and notices about the connection."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from .. import wire
from ..model import CHAT_MESSAGE, room_of

# JSON allows these in a string as they are; a terminal may obey them, and some tools break a line at the last two.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a channel.

    Attributes:
        channel: where it was sent, ``chat/general``.
        event: its name, ``chat:message``.
        id: unique for as long as the event is kept.
        seq: its position in the log, ``None`` when it is ephemeral.
        user_id: its author.
        timestamp: Unix milliseconds.
        raw: its data as JSON in UTF-8; see :attr:`data`.
    """

    channel: str
    event: str
    id: str
    seq: int | None
    user_id: str
    timestamp: int
    raw: bytes

    @property
    def data(self) -> Any:
        """Its data, decoded on each use."""
        return wire.anything.decode(self.raw)

    @property
    def text(self) -> str | None:
        """The text of a ``chat:message``, ``None`` for any other event."""
        data = self.data if self.event == CHAT_MESSAGE else None
        text = data.get("text") if isinstance(data, dict) else None
        return text if isinstance(text, str) else None

    @property
    def room(self) -> str:
        """The room of a chat channel, the whole name of any other."""
        return room_of(self.channel)

    def to_json(self) -> str:
        """The event as one line of JSON in the protocol's words, harmless on a terminal."""
        line = wire.encode(
            _Line(self.channel, self.event, self.id, self.user_id, self.timestamp, msgspec.Raw(self.raw), self.seq)
        )
        if b"\n" in line or b"\r" in line:  # white space in the raw data: in a string they are always escaped
            line = msgspec.json.format(line, indent=-1)
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode("utf-8", "replace"))


class _Line(msgspec.Struct, omit_defaults=True):
    channel: str
    event: str
    id: str
    userId: str  # noqa: N815 - the protocol's own names
    timestamp: int
    data: msgspec.Raw
    seq: int | None = None


class Notice(msgspec.Struct, frozen=True):
    """Something a reader may want to know about its connection.

    Attributes:
        kind: ``lost`` (it is being opened again), ``back`` (it resumed where it was), or ``gap`` (the server cannot
            resume there: events may be missing).
        text: a sentence for a person.
    """

    kind: Literal["lost", "back", "gap"]
    text: str


class Presence(msgspec.Struct, frozen=True):
    """Somebody who is on a channel: the state they track, and on how many connections."""

    user_id: str
    state: Any
    connections: int
