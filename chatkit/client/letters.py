"""Many messages of one user to one channel: what they have in common is put together once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from .http1 import encode_request
from .sending import message, uuid7

if TYPE_CHECKING:
    from .endpoint import Endpoint

_BITS_AT_ONCE: Final = 256

_TEXT: Final = "\x00text"
_quote = msgspec.json.Encoder().encode


class Letters:
    """Makes the requests of :func:`~chatkit.client.sending.message`, byte for byte, at a fifth of their cost.

    Raises:
        InvalidName: the room, channel or user breaks the grammar.
    """

    def __init__(self, endpoint: Endpoint, token: str | None, room_or_channel: str, user: str | None) -> None:
        model_id = uuid7(0, 0)
        post = message(room_or_channel, _TEXT, user=user, event_id=model_id)
        self.channel = post.channel
        # The user and the channel come before the text and cannot hold its stand-in: they have no control characters.
        self._before, self._after = (part.split(model_id.encode("ascii")) for part in post.body.split(_quote(_TEXT)))
        # The length is the last field, and that of the empty body is 0.
        self._head = encode_request("POST", post.path, endpoint.authority, token, b"").removesuffix(b"0\r\n\r\n")
        self._fixed = sum(map(len, (*self._before, *self._after)))
        self._ids = len(self._before) + len(self._after) - 2
        self._bits: list[int] = []

    def letter(self, text: str) -> tuple[bytes, str]:
        """The bytes of a request that sends ``text``, which is not empty, and the new id of its message."""
        if not self._bits:  # asking the system once for many is cheaper
            pool = os.urandom(8 * _BITS_AT_ONCE)
            self._bits = [int.from_bytes(pool[at : at + 8], "big") for at in range(0, len(pool), 8)]
        event_id = uuid7(time.time_ns(), self._bits.pop())
        key, quoted = event_id.encode("ascii"), _quote(text)
        size = self._fixed + self._ids * len(key) + len(quoted)
        body = (key.join(self._before), quoted, key.join(self._after))
        return b"%b%d\r\n\r\n%b%b%b" % (self._head, size, *body), event_id
