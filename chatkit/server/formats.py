"""How an event is written to a connection: a WebSocket frame, a server-sent event, a line of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..model import Form
from .frames import text_frame

#: From the JSON of one frame, and the position of the event that it is (``None`` for any other), to its bytes.
Format = Callable[[bytes, int | None], bytes]


def _server_sent(payload: bytes, seq: int | None) -> bytes:
    # html.spec.whatwg.org, 9.2.6. The JSON is one line; an event without a position leaves the last id as it is.
    return b"data: %b\n\n" % payload if seq is None else b"id: %d\ndata: %b\n\n" % (seq, payload)


def _line(payload: bytes, seq: int | None) -> bytes:
    return payload + b"\n"


FORMATS: Final[dict[Form, Format]] = {
    Form.WEBSOCKET: text_frame,
    Form.SERVER_SENT: _server_sent,
    Form.LINES: _line,
}
