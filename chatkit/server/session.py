"""What one client may say, and what it has said so far. Pure: no socket, no clock.

The link does the input and output; this side knows the topics, the limits and who is speaking.
"""

from __future__ import annotations

from typing import Any, Final

from .. import wire
from ..errors import InvalidName, Refused
from ..model import Topic, parse_topic
from .guard import COMMANDS, refusal
from .submissions import Author

#: The newest events that a subscription may begin with: finding where they start takes one read.
MAX_LAST: Final = 10_000

#: The rights as plain integers, which are compared ten times faster than flags.
_BITS: Final = {command: int(right) for command, right in COMMANDS.items()}


_NOWHERE: Final[frozenset[str]] = frozenset()


class Session:
    """The state of one connection's conversation.

    Attributes:
        author: who is speaking.
        tracked: channels on which this connection is present.
    """

    __slots__ = ("_max_topics", "author", "tracked")

    def __init__(self, author: Author, max_topics: int) -> None:
        self.author = author
        self.tracked: frozenset[str] = _NOWHERE  # most connections are present nowhere, and a set is 216 bytes
        self._max_topics = max_topics

    @staticmethod
    def decode(payload: bytes) -> wire.AnyCommand:
        """Read one frame.

        Raises:
            Refused: it is no command.
        """
        return wire.decode_with(wire.command, payload, "frame")

    def check_right(self, command: wire.AnyCommand) -> None:
        """Check that a command of this kind is theirs to give; where, is asked when the channel is known.

        Raises:
            Refused: ``unauthorized`` or ``forbidden``.
        """
        if not _BITS[type(command)] & self.author.grant.mask:
            raise refusal(self.author.grant, COMMANDS[type(command)])

    def topic(self, name: str) -> Topic:
        """What the client means by ``name``.

        Raises:
            Refused: ``invalid_topic``.
        """
        try:
            return parse_topic(name, self.author.projects)
        except InvalidName as error:
            raise Refused("invalid_topic", str(error)) from None

    def check_subscribe(self, command: wire.Subscribe, topics: int) -> None:
        """Check the bounds of a new subscription, beside ``topics`` that there are.

        Raises:
            Refused: ``invalid_field`` or ``too_many_topics``.
        """
        if topics >= self._max_topics:
            raise Refused("too_many_topics", f"at most {self._max_topics} topics on one connection; unsubscribe first")
        for field, value in (("after", command.after), ("last", command.last)):
            if value is not None and value < 0:
                raise Refused("invalid_field", f"`{field}` should be 0 or more")
        if command.last is not None and command.last > MAX_LAST:
            raise Refused("invalid_field", f"`last` is at most {MAX_LAST}; page through /api/messages for more")
        if command.after is not None and command.last is not None:
            raise Refused("invalid_field", "`after` and `last` exclude each other")

    def check_track(self, channel: str) -> None:
        """Check that one more channel may be tracked.

        Raises:
            Refused: ``too_many_topics``.
        """
        if channel not in self.tracked and len(self.tracked) >= self._max_topics:
            raise Refused("too_many_topics", f"present on at most {self._max_topics} channels; untrack first")


def error_for(payload: bytes, error: Refused) -> wire.ErrorFrame:
    """The answer to a frame that failed, with the ``id`` and ``topic`` it had, as far as they can be read."""
    given: Any = None
    try:
        given = wire.anything.decode(payload)
    except Exception:  # noqa: S110 - whatever is wrong with it, the error being answered says so
        pass
    if not isinstance(given, dict):
        return wire.ErrorFrame(error.code, error.message)
    event_id, topic = given.get("id"), given.get("topic")
    return wire.ErrorFrame(
        error.code,
        error.message,
        event_id if isinstance(event_id, str) else None,
        topic if isinstance(topic, str) else None,
    )
