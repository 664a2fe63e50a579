"""Pipelined requests on one connection: the order and the number of writes, and what they may hold. No socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from chatkit.errors import Refused
from chatkit.server.config import Config
from chatkit.server.context import Context
from chatkit.server.exchange import Exchange
from chatkit.server.gate import Gate
from chatkit.server.guard import Site
from chatkit.server.http import HttpConnection
from chatkit.server.request import parse_head
from chatkit.server.rights import OPEN
from chatkit.server.routes import ROUTES
from chatkit.server.websocket import Link

from ..contract.memory import MemoryLog

HANDSHAKE = (
    b"GET /api/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def send(text: str, event_id: str) -> bytes:
    body = f'{{"roomId":"general","text":"{text}","id":"{event_id}"}}'
    head = f"POST /examples/chat/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


class Transport:
    """Takes everything at once and remembers each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self._touched = asyncio.Event()
        self.reads = True
        self.closed = False
        self.protocol: object = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self._touched.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the connection does to this makes ``condition`` hold."""
        async with asyncio.timeout(10):
            while not condition():
                self._touched.clear()
                await self._touched.wait()

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
        self._touched.set()

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol
        self._touched.set()

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...
    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def ids(self) -> list[str]:
        return re.findall(r'"id":"([^"]+)"', b"".join(self.writes).decode())


Scenario = Callable[[HttpConnection, Transport, Context], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def whole() -> None:
        log = MemoryLog()
        context = Context(Config(), log, 100)
        log.listen(context.hub.deliver)
        journal = asyncio.create_task(context.journal.run())
        connection = HttpConnection(context, Gate(context, Site("http", is_local=True), lambda transport: OPEN))
        transport = Transport()
        connection.connection_made(cast("asyncio.Transport", transport))
        await scenario(connection, transport, context)
        context.journal.drain()
        await journal
        await context.cancel_tasks()

    asyncio.run(whole())


def test_the_answers_of_a_batch_leave_in_one_write_and_in_order() -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        names = [f"m{number}" for number in range(500)]
        connection.data_received(b"".join(send("x", name) for name in names))
        await transport.until(lambda: len(transport.ids()) == len(names))
        assert transport.ids() == names
        assert len(transport.writes) == 1
        connection.data_received(send("x", "alone"))
        await transport.until(lambda: len(transport.writes) == 2)

    play(scenario)


def test_what_is_answered_at_once_waits_for_what_came_before_it() -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        connection.data_received(send("x", "first") + get("/nowhere") + send("x", "last"))
        assert transport.writes == []
        await transport.until(lambda: b'"last"' in b"".join(transport.writes))
        said = b"".join(transport.writes)
        assert said.index(b'"first"') < said.index(b"not_found") < said.index(b'"last"')

    play(scenario)


def test_a_due_write_does_not_end_the_websocket_that_took_the_connection_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        go = asyncio.Event()

        async def answer(exchange: Exchange) -> None:
            await go.wait()
            exchange.ok(b"{}")

        monkeypatch.setitem(ROUTES["/healthz"], "GET", lambda exchange: exchange.run(answer(exchange)))
        connection.data_received(get("/healthz") * 2)
        await asyncio.sleep(0)
        go.set()  # both are answered in the next turn, which makes a write due for the one after it ...
        asyncio.get_running_loop().call_soon(connection.data_received, HANDSHAKE)  # ... and this comes in between
        await transport.until(lambda: isinstance(transport.protocol, Link))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not transport.closed

    play(scenario)


@pytest.mark.parametrize(("path", "most"), [("/chatkit.js", 200), ("/nowhere", 1024)])
def test_what_waits_for_an_answer_is_limited_in_number_and_weight(path: str, most: int) -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        connection.data_received(send("x", "first") + get(path) * 3000)
        assert not transport.reads
        assert len(connection._exchanges) <= most
        assert all(exchange.request.body == b"" for exchange in connection._exchanges)
        await transport.until(lambda: transport.reads and not connection._exchanges)
        said = b"".join(transport.writes)
        assert said.count(b"HTTP/1.1 ") == 3001
        for number in range(50):  # more than may wait in all, were anything counted and not let go
            connection.data_received(send("x" * 60_000, f"m{number}"))
            await transport.until(lambda: not connection._exchanges)
        assert connection._waiting_bytes == 0
        assert transport.reads

    play(scenario)


def test_a_due_write_does_not_cut_off_the_last_words() -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        connection.data_received(send("x", "one") + send("x", "two") + b"no request\r\n\r\n")
        await transport.until(lambda: b"bad_request" in b"".join(transport.writes))
        connection.flush()
        assert not transport.closed  # the client may still be writing, and would lose the answer to a reset
        connection.eof_received()
        assert transport.closed

    play(scenario)


def test_what_a_host_and_an_origin_say_is_remembered_where_it_is_allowed_and_short() -> None:
    async def scenario(connection: HttpConnection, transport: Transport, context: Context) -> None:
        gate = connection._gate

        def ask(host: str) -> None:
            gate.admit_link(parse_head(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), 10), OPEN)

        for _ in range(2):
            with pytest.raises(Refused, match="does not go by"):
                ask("evil.example")
        assert not gate._known
        ask("localhost")
        ask("a" * 60 + ".localhost")
        assert len(gate._known) == 2
        ask(".".join(["a" * 60] * 6) + ".localhost")
        assert len(gate._known) == 2

    play(scenario)
