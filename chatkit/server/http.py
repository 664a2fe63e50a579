"""One HTTP/1.1 connection: keep-alive, pipelining, deadlines, and the switch to WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from ..errors import Refused
from . import responses
from .backlog import Backlog, left
from .context import Context, logger
from .exchange import Exchange
from .gate import Gate, hints
from .handshake import REALTIME, accept
from .request import Request, RequestReader
from .rights import NOBODY
from .websocket import Link
from .wheel import Timed

#: Requests of one connection that may wait for their answers before it is read no further, and what these and the answers
#: that wait for others before them may weigh.
_MAX_PIPELINED: Final = 1024
_MAX_WAITING_BYTES: Final = 1024 * 1024
#: Reads of the log that one connection may have under way: their answers may be megabytes, and nobody may be taking them.
_MAX_RUNNING: Final = 4

#: How long a client that is refused may go on sending. Closing while its bytes arrive would reset the connection, and
#: the answer with it (RFC 9112, 9.6).
_LINGER_S: Final = 2.0


class HttpConnection(asyncio.Protocol, Timed):
    """A connection from its first byte until it closes, or becomes a :class:`Link`."""

    __slots__ = (
        "_active",
        "_backlog",
        "_closing",
        "_context",
        "_ended",
        "_exchanges",
        "_gate",
        "_grant",
        "_has_hung_up",
        "_is_due",
        "_is_held",
        "_is_paused",
        "_last_words",
        "_partial",
        "_reader",
        "_since_s",
        "_slot",
        "_transport",
        "_waiting_bytes",
        "number",
        "running",
    )

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._grant = NOBODY
        self._exchanges: deque[Exchange] = deque()
        self.running = 0  # reads of the log that are under way
        self._active = False  # whether a request was read since the last tick
        self._backlog: Backlog | None = None  # what is known of an answer that is not taken
        self._closing = False
        self._ended = False  # whether the client will send no more
        self._has_hung_up = False
        self._is_due = False  # whether the loop is going to call _flush_due
        self._is_held = False  # whether reading has stopped, since too much waits
        self._is_paused = False
        self._last_words = b""  # what is written after the last answer
        self._partial = True  # whether a request has begun and not come whole; of a new connection one is awaited
        self._waiting_bytes = 0  # of requests whose answers are not written, and of those answers
        self._since_s = time.monotonic()  # when that began, or the connection fell idle
        config = context.config
        self._reader = RequestReader(gate.heads, config.max_head_bytes, config.max_message_bytes)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._grant = self._gate.welcome(transport)
        context = self._context
        context.counters.connections += 1
        self.number = next(context.numbers)
        if context.is_full or context.draining:
            why = "stopping" if context.draining else f"serving {context.max_connections} connections, its limit"
            self._closing = True
            self._write(self._refusal(Refused("unavailable", f"the server is {why}", retry_after_s=1)))
            self._transport.close()
        else:
            self._slot = context.wheel.add(self, context.config.request_timeout_s)
        context.http.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._context.forget(self)

    def eof_received(self) -> bool:
        """Answer what was asked, then close."""
        self._ended = True
        self.flush()
        return self._transport.can_write_eof()

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

    def answered(self, response: bytes) -> None:
        """A request has its answer. Those of a batch of pipelined ones are written together, when it is through."""
        self._waiting_bytes += len(response)
        if len(self._exchanges) == 1:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._flush_due)

    def _flush_due(self) -> None:
        self._is_due = False
        if self in self._context.http:  # else it is another protocol's by now
            self.flush()

    def flush(self) -> None:
        """Write the answers that are next in order."""
        exchanges, ready = self._exchanges, []
        while exchanges and (response := exchanges[0].response) is not None:
            ready.append(response)
            exchange = exchanges.popleft()
            self._waiting_bytes -= len(response) + exchange.size
            if exchange.closes:
                exchanges.clear()
                self._closing = True
        if ready:
            self._write(b"".join(ready))
        if (
            self._is_held
            and len(exchanges) <= _MAX_PIPELINED // 2
            and self._waiting_bytes <= _MAX_WAITING_BYTES // 2
            and self.running < _MAX_RUNNING
        ):
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
        """Close, after the last words; once."""
        if self._has_hung_up:  # the client may still be taking them, but not once it has said its own last word
            if self._ended:
                self._transport.close()
            return
        self._has_hung_up = True
        words, self._last_words = self._last_words, b""
        if words:
            self._write(words)
        if not words or self._ended or self._transport.is_closing():
            self._transport.close()
        else:
            if self._transport.can_write_eof():  # TLS has no half of a connection
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
            if (
                len(exchanges) >= _MAX_PIPELINED
                or self._waiting_bytes > _MAX_WAITING_BYTES
                or self.running >= _MAX_RUNNING
            ):
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
            exchange = Exchange(self, self._context, request, self._grant)
            exchanges.append(exchange)
            self._waiting_bytes += exchange.size
            try:
                admission = head.admission
                if admission is None or not admission.right & (admission.grant or self._grant).mask:
                    admission = self._gate.admit(exchange, head, self._grant)
                exchange.cors = admission.cors
                if admission.grant is not None:
                    exchange.grant = admission.grant
                admission.handler(exchange)
            except Refused as error:
                exchange.refuse(error, hints(head, error))
            except Exception:
                logger.exception("%s %r failed", head.method, head.path)
                exchange.refuse(Refused("internal", "the server failed; its log says how"))
            request.body = b""  # it is read, and the answers before this one may be long in coming
            if not reader.has_more:
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

    def become(self, exchange: Exchange, make: Callable[[asyncio.Transport, int], asyncio.Protocol]) -> None:
        """Hand the connection over to another protocol, which answers the one request that is left."""
        if self._exchanges[0] is not exchange:
            raise Refused("bad_request", "a request for a stream may not be pipelined")
        self._exchanges.clear()
        self._give_up()
        if not self._transport.is_closing():
            self._transport.set_protocol(make(self._transport, self.number))

    def _give_up(self) -> None:
        """Leave the connection to another protocol, and nothing behind: this object is larger than what follows it."""
        self._closing = True
        self._context.http.discard(self)
        self._slot.discard(self)

    def _upgrade(self, request: Request) -> None:
        if self._exchanges:
            self._fail(Refused("bad_request", "a WebSocket handshake may not be pipelined"))
            return
        try:
            grant = self._gate.admit_link(request.head, self._grant)
            handshake = accept(self._context, request.head, grant)
        except Refused as error:
            self._closing = True
            self._last_words = self._refusal(error, hints(request.head, error))
            self.flush()
            return
        self._write(handshake.response)
        context, transport, rest = self._context, self._transport, self._reader.rest
        self._give_up()
        link = Link(context, handshake.session, transport, self.number)
        transport.set_protocol(link)
        if rest:
            link.data_received(rest)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)
