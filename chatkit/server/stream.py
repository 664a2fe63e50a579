"""``GET /api/stream``: the live feed for curl and ``EventSource``, another kind of link on the same cursors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from .. import wire
from ..errors import InvalidName, Refused
from ..model import Form, Topic, parse_topic
from . import responses
from .context import Context
from .formats import FORMATS
from .outlet import Outlet
from .request import whole_number
from .rights import Grant
from .session import MAX_LAST
from .subscription import Subscription

if TYPE_CHECKING:
    from .exchange import Exchange

_HEARTBEAT_S: Final = 15.0
_HEARTBEATS: Final = {Form.SERVER_SENT: b":\n\n", Form.LINES: b"\n"}
_TYPES: Final = {Form.SERVER_SENT: "text/event-stream", Form.LINES: "application/x-ndjson"}


class Stream(Outlet):
    """One response without an end.

    It has no length and no chunks, it ends when the connection does (RFC 9112, 6.3), so that the same bytes serve
    every stream of a topic.
    """

    __slots__ = ("_form",)

    def __init__(
        self,
        context: Context,
        transport: asyncio.Transport,
        number: int,
        grant: Grant,
        *,
        form: Form,
        cors: dict[str, str] | None,
    ) -> None:
        super().__init__(context, transport, number, grant)
        self._form = form
        self.write(responses.stream_head(_TYPES[form], cors))
        context.wheel.add(self, _HEARTBEAT_S)

    def data_received(self, data: bytes) -> None:
        """Nothing more can be asked on this connection."""

    def tick_level(self) -> float | None:
        """Send a heartbeat."""
        self.write(_HEARTBEATS[self._form])
        return _HEARTBEAT_S

    def send(self, frame: msgspec.Struct) -> None:
        self.write(FORMATS[self._form](wire.encode(frame), None))

    def close(self, code: int, reason: str) -> None:
        if not self._closing:
            self.shut()
            self._transport.close()


def stream(exchange: Exchange) -> None:
    """Turn the connection into a stream of one channel's or pattern's events."""
    head, context = exchange.request.head, exchange.context
    given = head.parameters()
    form = Form.SERVER_SENT if "text/event-stream" in head.headers.get("accept", "") else Form.LINES
    topic = _topic(given.get("channel"), form, context)
    grant = exchange.grant
    grant.check_read(topic.pattern)
    if grant.allowance is not None:
        grant.allowance.check_links()
    last = whole_number(given.get("last"), "last")
    resumed = head.headers.get("last-event-id") or given.get("after")
    after = whole_number(resumed, "after")
    if last is not None and given.get("after"):
        raise Refused("invalid_field", "`after` and `last` exclude each other")
    if last is not None and last > MAX_LAST:
        raise Refused("invalid_field", f"`last` is at most {MAX_LAST}; page through /api/messages for more")
    if head.method == "HEAD":
        exchange.answer(200, b"", _TYPES[form])
        return

    def begin(transport: asyncio.Transport, number: int) -> Stream:
        link = Stream(context, transport, number, grant, form=form, cors=exchange.cors)
        command = wire.Subscribe(topic.name, after, given.get("epoch") or None, last if after is None else None)
        link.subscribe(Subscription(link, topic, None, 1), command)
        return link

    exchange.become(begin)


def _topic(name: str | None, form: Form, context: Context) -> Topic:
    if not name:
        raise Refused("invalid_field", "`channel` is missing")
    try:
        found = parse_topic(name, context.projects)
    except InvalidName as error:
        raise Refused("invalid_topic", f"`channel`: {error}") from None
    return Topic(found.name, found.pattern, form)
