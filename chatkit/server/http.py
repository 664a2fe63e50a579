"""One HTTP/1.1 connection: keep-alive, pipelining, deadlines, and the switch to WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from .. import wire
from ..errors import Refused
from ..log.base import Outcome, Submission
from . import responses
from .backlog import Backlog, left
from .context import Context, logger
from .handshake import REALTIME, VERSION, accept
from .request import Head, Request, RequestReader
from .routes import ROUTES, Handler
from .websocket import Link
from .wheel import Timed

#: Requests of one connection that may wait for their answers before it is read no further.
_MAX_PIPELINED: Final = 256

#: How long a client that is refused may go on sending. Closing while its bytes arrive would reset the connection, and
#: the answer with it (RFC 9112, 9.6).
_LINGER_S: Final = 2.0


class Exchange:
    """One request and its answer. Answers leave in the order of the requests (RFC 9112, 9.3.2).

    Attributes:
        response: the answer, once there is one.
    """

    __slots__ = ("_connection", "context", "request", "response")

    def __init__(self, connection: HttpConnection, context: Context, request: Request) -> None:
        self._connection = connection
        self.response: bytes | None = None
        self.context = context
        self.request = request

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine."""
        return self._connection.is_local

    def ok(self, body: bytes) -> None:
        """Answer 200 with JSON."""
        head = self.request.head
        if head.keep_alive and head.method != "HEAD":
            self._set(responses.ok(body))
        else:
            self.answer(200, body)

    def answer(
        self, status: int, body: bytes, content_type: str = responses.JSON, headers: dict[str, str] | None = None
    ) -> None:
        """Answer anything."""
        head = self.request.head
        self._set(
            responses.response(
                status,
                body,
                content_type,
                headers=headers,
                close=not head.keep_alive,
                head_only=head.method == "HEAD",
            )
        )

    def refuse(self, error: Refused, headers: dict[str, str] | None = None) -> None:
        """Answer that it is refused."""
        self.context.counters.refuse(error)
        head = self.request.head
        self._set(responses.refusal(error, close=not head.keep_alive, headers=headers, head_only=head.method == "HEAD"))

    def accepted(self, submission: Submission, outcome: Outcome) -> None:
        """Answer a send or publish with what became of it."""
        if isinstance(outcome, Refused):
            self.refuse(outcome)
            return
        answer = wire.Accepted(id=submission.event.id)
        if outcome.seq is not None:
            answer.seq = outcome.seq
        if outcome.duplicate:
            self.context.counters.duplicates += 1
            answer.duplicate = True
        self.ok(wire.encode(answer))

    def emitted(self, submission: Submission, outcome: Outcome) -> None:
        """Answer an emit."""
        if isinstance(outcome, Refused):
            self.refuse(outcome)
        else:
            self.ok(b'{"ok":true}')

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer later, from a coroutine; one that fails answers 500."""
        self.context.spawn(self._guard(work))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refused as error:
            self.refuse(error)
        except Exception:
            logger.exception("%s %s failed", self.request.head.method, self.request.head.path)
            self.refuse(Refused("internal", "the server failed; its log says how"))

    def become(self, make: Callable[[asyncio.Transport, int], asyncio.Protocol]) -> None:
        """Answer with whatever ``make`` writes, from now on and for as long as the connection lives.

        Raises:
            Refused: an earlier request is not answered yet.
        """
        self._connection.become(self, make)

    def _set(self, response: bytes) -> None:
        if self.response is None:
            self.response = response
            self._connection.flush()


class HttpConnection(asyncio.Protocol, Timed):
    """A connection from its first byte until it closes, or becomes a :class:`Link`."""

    __slots__ = (
        "_active",
        "_backlog",
        "_closing",
        "_context",
        "_ended",
        "_exchanges",
        "_is_held",
        "_is_paused",
        "_last_words",
        "_partial",
        "_reader",
        "_since_s",
        "_transport",
        "number",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._exchanges: deque[Exchange] = deque()
        self._active = False  # whether a request was read since the last tick
        self._backlog: Backlog | None = None  # what is known of an answer that is not taken
        self._closing = False
        self._ended = False  # whether the client will send no more
        self._is_held = False  # whether reading has stopped at _MAX_PIPELINED
        self._is_paused = False
        self._last_words = b""  # what is written after the last answer
        self._partial = True  # whether a request has begun and not come whole; of a new connection one is awaited
        self._since_s = time.monotonic()  # when that began, or the connection fell idle
        config = context.config
        self._reader = RequestReader(context.heads, config.max_head_bytes, config.max_message_bytes)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        context = self._context
        context.counters.connections += 1
        self.number = next(context.numbers)
        if context.is_full or context.draining:
            why = "stopping" if context.draining else f"serving {context.max_connections} connections, its limit"
            self._closing = True
            self._write(self._refusal(Refused("unavailable", f"the server is {why}", retry_after_s=1)))
            self._transport.close()
        else:
            context.wheel.add(self, context.config.request_timeout_s)
        context.http.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._context.forget(self)

    def eof_received(self) -> bool:
        """Answer what was asked, then close."""
        self._ended = True
        self.flush()
        return True

    def pause_writing(self) -> None:
        self._is_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if not self._closing:
            self._reader.feed(data)
            self._read()

    def tick(self, now_s: float) -> float | None:
        """Close a connection that is too slow, or idle for too long."""
        config = self._context.config
        if self not in self._context.http:
            return None  # it is a WebSocket now
        if self._transport.get_write_buffer_size():
            return self._tick_unsent(now_s)
        self._backlog = None
        if self._transport.is_closing():
            return None
        if self._closing and not self._exchanges:
            self._transport.close()
            return None
        if self._active and not self._partial:
            self._since_s = now_s
        self._active = False
        waited_s = now_s - self._since_s
        if self._exchanges or self._is_paused:
            return config.request_timeout_s  # it waits for us, or is slow to take an answer, which holds little
        limit_s = config.request_timeout_s if self._partial else config.idle_timeout_s
        if waited_s < limit_s:
            # Never far ahead: a request may begin, and be slow, while this waits for an idle connection's end.
            return min(limit_s - waited_s, config.request_timeout_s)
        if self._partial and not self._reader.is_idle:
            late = Refused("timeout", f"the request was not complete after {config.request_timeout_s:g} s")
            self._write(self._refusal(late))
        self._transport.close()
        return _LINGER_S  # until it is taken

    def _tick_unsent(self, now_s: float) -> float | None:
        """An answer is not taken: close() would keep it for ever, so a peer that takes nothing at all is cut off."""
        stall_timeout_s = self._context.config.stall_timeout_s
        if self._backlog is None:
            self._backlog = Backlog(left(self._transport), now_s)
        self._backlog.look(left(self._transport), now_s)
        if now_s - self._backlog.since_s >= stall_timeout_s:
            self._context.counters.stalled += 1
            self._transport.abort()
            return None
        return min(5.0, stall_timeout_s / 4)

    def _refusal(self, error: Refused, headers: dict[str, str] | None = None) -> bytes:
        """The last answer on this connection."""
        self._context.counters.refuse(error)
        return responses.refusal(error, close=True, headers=headers)

    def close_idle(self) -> None:
        """For a graceful stop: close now if nothing is being answered, else after the answer."""
        self._closing = True
        self.flush()

    def abort(self) -> None:
        """Close now, whatever waits to be written."""
        self._transport.abort()

    def flush(self) -> None:
        """Write the answers that are next in order."""
        exchanges = self._exchanges
        while exchanges and (response := exchanges[0].response) is not None:
            exchange = exchanges.popleft()
            self._write(response)
            if not exchange.request.head.keep_alive:
                exchanges.clear()
                self._closing = True
        if self._is_held and len(exchanges) <= _MAX_PIPELINED // 2:
            self._is_held = False
            self._go_on()
        if not exchanges:
            if self._closing:
                self._hang_up()
            elif self._ended and self._reader.is_idle:
                self._closing = True
                self._hang_up()
            elif self._ended:
                self._fail(Refused("bad_request", "the request ended before it was whole"))

    def _hang_up(self) -> None:
        """Close, after the last words."""
        words, self._last_words = self._last_words, b""
        if words:
            self._write(words)
        if not words or self._ended or self._transport.is_closing():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._transport.resume_reading()
            self._context.wheel.add(self, _LINGER_S)

    def _go_on(self) -> None:
        """Read again after a pause."""
        if not self._closing and not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()
            self._read()

    def _read(self) -> None:
        """Handle every whole request that has arrived."""
        reader, exchanges = self._reader, self._exchanges
        while not self._closing and not self._is_paused:
            if len(exchanges) >= _MAX_PIPELINED:
                self._is_held = True
                self._transport.pause_reading()
                return
            try:
                request = reader.next_request()
            except Refused as error:
                self._fail(error)
                return
            if request is None:
                self._wait_for_more()
                return
            head = request.head
            if head.upgrade and head.path == REALTIME:
                self._upgrade(request)
                return
            self._active = True
            self._partial = False
            self._closing = not head.keep_alive  # what follows such a request is not carried out
            exchange = Exchange(self, self._context, request)
            exchanges.append(exchange)
            try:
                _route(head)(exchange)
            except Refused as error:
                exchange.refuse(error, _hints(head, error))
            except Exception:
                logger.exception("%s %s failed", head.method, head.path)
                exchange.refuse(Refused("internal", "the server failed; its log says how"))
            if not reader.buffered:
                return

    def _wait_for_more(self) -> None:
        """A request has begun and not come whole: its deadline runs, and its client may wait for leave to go on."""
        reader = self._reader
        if reader.is_idle:
            return
        if not self._partial:
            self._partial = True
            self._since_s = time.monotonic()
        if reader.wants_continue and not self._exchanges:  # RFC 9110, 10.1.1
            reader.wants_continue = False
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _fail(self, error: Refused) -> None:
        """Answer what cannot be read as a request, in its turn; nothing after it can be trusted."""
        self._closing = True
        self._last_words = self._refusal(error)
        self.flush()

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine."""
        peer = self._transport.get_extra_info("peername")
        if not isinstance(peer, tuple):
            return True  # a Unix socket
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback
        return False

    def become(self, exchange: Exchange, make: Callable[[asyncio.Transport, int], asyncio.Protocol]) -> None:
        """Hand the connection over to another protocol, which answers the one request that is left."""
        if self._exchanges[0] is not exchange:
            raise Refused("bad_request", "a request for a stream may not be pipelined")
        self._exchanges.clear()
        self._closing = True
        self._context.http.discard(self)
        if not self._transport.is_closing():
            self._transport.set_protocol(make(self._transport, self.number))

    def _upgrade(self, request: Request) -> None:
        if self._exchanges:
            self._fail(Refused("bad_request", "a WebSocket handshake may not be pipelined"))
            return
        try:
            handshake = accept(self._context, request.head)
        except Refused as error:
            self._closing = True
            self._last_words = self._refusal(error, _hints(request.head, error))
            self.flush()
            return
        self._write(handshake.response)
        context, transport, rest = self._context, self._transport, self._reader.buffered
        self._closing = True
        context.http.discard(self)
        link = Link(context, handshake.session, transport, self.number)
        transport.set_protocol(link)
        if rest:
            link.data_received(rest)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _route(head: Head) -> Handler:
    methods = ROUTES.get(head.path)
    if methods is None:
        raise Refused("not_found", f"there is nothing at {head.path[:200]}")
    handler = methods.get("GET" if head.method == "HEAD" else head.method)
    if handler is None:
        raise Refused("method_not_allowed", f"{head.path} takes {_methods(methods)}, not {head.method}")
    return handler


def _methods(methods: dict[str, Handler]) -> str:
    return ", ".join(sorted(methods) + (["HEAD"] if "GET" in methods else []))


def _hints(head: Head, error: Refused) -> dict[str, str] | None:
    """What RFC 9110 wants said along with a refusal."""
    if error.status == 405:
        return {"Allow": _methods(ROUTES[head.path])}
    if error.status == 426:
        return {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION}
    return None
