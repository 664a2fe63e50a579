"""Where a reader is in the log, as a value that outlives the program."""

from __future__ import annotations

from typing import Annotated

import msgspec

from .. import wire
from ..errors import InvalidName
from ..model import MAX_SEQ


class Position(msgspec.Struct, frozen=True):
    """A place in one log.

    Attributes:
        epoch: which log: another one, or the same restored from a backup, has another epoch.
        seq: everything up to this was read.
    """

    epoch: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    seq: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class Cursor(msgspec.Struct, frozen=True, tag_field="type", tag="cursor"):
    """How far a stream of :meth:`chatkit.Chat.tail` was read, to go on from there in another process.

    Attributes:
        url: the server.
        topics: each topic and the position reached; ``None`` where it has none yet.
    """

    url: str
    topics: dict[str, Position | None]

    def to_json(self) -> str:
        """The cursor as one line."""
        return wire.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Cursor:
        """What :meth:`to_json` wrote.

        Raises:
            InvalidName: it is something else.
        """
        try:
            return _cursor.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
            raise InvalidName("cursor", shown, "it is not what a cursor's to_json() writes") from None

    def check(self, url: str, topics: list[str]) -> None:
        """See that the cursor is one of ``topics`` at ``url``.

        Raises:
            InvalidName: it belongs to another server, or to other topics.
        """
        if self.url != url:
            raise InvalidName("cursor", self.url, f"it is of another server than {url}; each has its own cursor")
        if set(self.topics) != set(topics):
            have, want = (" ".join(sorted(names)) for names in (self.topics, topics))
            raise InvalidName("cursor", have, f"it is of other channels than {want}; each set has its own cursor")


_cursor = msgspec.json.Decoder(Cursor)
