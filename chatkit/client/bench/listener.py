"""One subscriber: it counts marks in what it reads, or, when it is sampled, reads each message."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlencode

import msgspec

from ...errors import ChatkitError, Unreachable
from ..http1 import Response
from ..sending import answer_of
from . import frames
from .plan import number_of
from .tally import Sequence, Tally, Verdict

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .summary import Histogram

_SUBSCRIBED: Final = b'{"type":"subscribed"'
_HEAD_END: Final = b"\r\n\r\n"


class _Data(msgspec.Struct):
    text: str = ""


class _Push(msgspec.Struct):
    """What a sampled subscriber reads of a frame."""

    type: str
    seq: int = 0
    data: _Data | None = None
    code: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(_Push).decode


class Listener(asyncio.Protocol):
    """A subscriber of one channel.

    Attributes:
        channel: its number.
        count: messages of this run that came.
        last_ns: when the latest came.
        ready: done when the subscription is live.
        gone: the connection was lost.
    """

    transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint, token: str | None, room: str, channel: int, mark: bytes) -> None:
        self._endpoint, self._token, self._topic = endpoint, token, f"chat/{room}"
        self.channel, self._mark = channel, mark
        self.count = self.last_ns = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone = False
        self._head: bytes | None = b""
        self._frames = frames.Frames()
        self._tail = b""
        self._level = 0
        self.reached: asyncio.Future[None] | None = None

    def wait_for(self, count: int) -> asyncio.Future[None] | None:
        """A future that is done with the delivery ``count``; ``None`` when it is there, or cannot come."""
        if self.count >= count or self.gone:
            return None
        self._level, self.reached = count, asyncio.get_running_loop().create_future()
        return self.reached

    def verdict(self, tally: Tally) -> Verdict:
        """What went wrong."""
        return tally.by_count(self.channel, self.count)

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        path = f"/api/realtime?{urlencode({'userId': 'bench'})}"
        self.transport.write(frames.handshake(self._endpoint.authority, path, self._token, os.urandom(16)))

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self._deliver(data)
            return
        try:
            self._open(data)
        except ChatkitError as error:
            self.ready.set_exception(error)
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if not self.ready.done():
            self.ready.set_exception(Unreachable(f"{self._endpoint.url} ended a subscriber's connection"))
        if self.reached and not self.reached.done():
            self.reached.set_result(None)

    # Inside.

    def _open(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            head, end, data = self._head.partition(_HEAD_END)
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                status = head[9:12]
                answer_of(Response(int(status) if status.isdigit() else 0, data, None, False), self._endpoint.url)
                raise Unreachable(f"{self._endpoint.url} does not open a WebSocket")
            self._head = None
            self.transport.write(frames.text_frame(msgspec.json.encode({"type": "subscribe", "topic": self._topic})))
        for opcode, payload in self._frames.feed(data):
            if opcode == frames.CLOSE or payload.startswith(b'{"type":"error"'):
                raise Unreachable(f"{self._endpoint.url} does not take a subscriber: {payload[:200]!r}")
            if payload.startswith(_SUBSCRIBED):  # with nothing to replay it is live
                self.ready.set_result(None)

    def _deliver(self, data: bytes) -> None:
        # A mark that two reads share counts with the second.
        found = data.count(self._mark) + (self._tail + data[: len(self._mark) - 1]).count(self._mark)
        self._tail = (data if len(data) >= len(self._mark) else self._tail + data)[1 - len(self._mark) :]
        self._arrived(found)

    def _arrived(self, found: int) -> None:
        if not found:
            return
        self.count += found
        self.last_ns = time.perf_counter_ns()
        if self.reached and self.count >= self._level and not self.reached.done():
            self.reached.set_result(None)


class Sampled(Listener):
    """A subscriber that reads each message: when it came, and after which."""

    def sample(self, tally: Tally, into: Histogram) -> Self:
        """Say what was sent, and where latencies go; returns itself."""
        self._tally, self._latencies, self._sequence = tally, into, Sequence()
        return self

    def verdict(self, tally: Tally) -> Verdict:
        return tally.by_sequence(self.channel, self._sequence)

    def _deliver(self, data: bytes) -> None:
        now, begun_ns, found = time.perf_counter_ns(), self._tally.begun_ns, 0
        for opcode, payload in self._frames.feed(data):
            if opcode != frames.TEXT or self._mark not in payload:
                continue
            push = _decode(payload)
            number = number_of(push.data.text) if push.data else -1
            if 0 <= number < len(begun_ns):
                self._sequence.take(number, push.seq)
                self._latencies.add(now - begun_ns[number])
                found += 1
        self._arrived(found)
