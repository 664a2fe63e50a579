"""A restart cuts off thousands of clients at the same instant: all come back, and each sees the next message once."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import struct
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import cast

import chatkit
from chatkit import wire
from chatkit.client.endpoint import Endpoint, parse_url
from chatkit.client.follow import follow
from chatkit.client.link import Link, Lost
from chatkit.client.resume import Reader
from chatkit.errors import Unreachable
from tests.support import Server

CLIENTS = 5000
#: For all of it, on a machine that has much else to do.
HERD_DEADLINE_S = 100.0


class ThinLink(asyncio.Protocol):
    """A WebSocket that takes a tenth of what the real one does, under the client's own loop, reader and backoff."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._data = b""
        self._is_open = False
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, endpoint: Endpoint) -> ThinLink:
        try:
            _, link = await asyncio.get_running_loop().create_connection(cls, endpoint.host, endpoint.port)
        except OSError as error:
            raise Unreachable(str(error)) from None
        await link._opened
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /api/realtime?userId=u HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_open:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.transport.abort()
                return
            self._is_open, self._data = True, rest
            if not self._opened.done():
                self._opened.set_result(None)
        while (size := self._frame_bytes()) and len(self._data) >= size:
            frame, self._data = self._data[:size], self._data[size:]
            opcode, start = frame[0] & 15, 2 if frame[1] < 126 else 4
            if opcode == 1:
                self._frames.put_nowait(frame[start:])
            elif opcode == 9:
                self._write(0x8A, frame[start:])

    def _frame_bytes(self) -> int:
        if len(self._data) < 4:
            return 0
        size = self._data[1]  # frames of the server are not masked, and these are small
        assert size < 127
        return 2 + size if size < 126 else 4 + int(struct.unpack("!H", self._data[2:4])[0])

    def _write(self, first: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([first, 0x80 | size]) if size < 126 else bytes([first, 0xFE]) + struct.pack("!H", size)
        self.transport.write(head + bytes(4) + payload)  # masked with zeroes

    def connection_lost(self, exc: Exception | None) -> None:
        self._frames.put_nowait(None)
        if not self._opened.done():
            self._opened.set_exception(Lost("not opened"))

    # What follow() asks of a link.

    async def send(self, command: wire.AnyCommand) -> None:
        self._write(0x81, wire.encode(command))

    async def receive(self) -> wire.AnyFrame | None:
        payload = await self._frames.get()
        if payload is None:
            raise Lost("the connection was lost")
        return wire.decode_with(wire.server_frame, payload, "frame")

    async def close(self) -> None:
        self.transport.abort()


class Herd:
    """Many clients of one room.

    Attributes:
        seen: the texts that each one got.
        losses: how often connections were lost, in all.
    """

    def __init__(self, url: str, count: int) -> None:
        self._endpoint = parse_url(url)
        self.seen: list[list[str | None]] = [[] for _ in range(count)]
        self.losses = 0
        self._count = 0
        self._news = asyncio.Condition()
        self._door = asyncio.Semaphore(100)  # for the first time, when nobody comes back yet, one after the other

    async def _open(self, number: int) -> ThinLink:
        if self.seen[number]:
            return await ThinLink.open(self._endpoint)
        async with self._door:
            return await ThinLink.open(self._endpoint)

    async def client(self, number: int) -> None:
        reader = Reader(["chat/general"], after=0)

        async def open_link() -> ThinLink:
            return await self._open(number)

        def on_notice(notice: chatkit.Notice) -> None:
            self.losses += notice.kind == "lost"

        opener = cast("Callable[[], Awaitable[Link]]", open_link)
        events = follow(reader, opener, until_level=False, on_notice=on_notice, on_level=lambda: None)
        async with aclosing(events):
            async for event in events:
                self.seen[number].append(event.text)
                async with self._news:
                    self._count += 1
                    self._news.notify_all()
                if event.text == "last":
                    return

    async def all_have(self, count: int) -> None:
        """Wait until ``count`` events were seen, all clients together."""
        async with self._news:
            await self._news.wait_for(lambda: self._count >= count)


def room_for() -> int:
    """How many clients the limit of open files leaves room for, here and in the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 500
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(50, min(CLIENTS, soft - 400))


def test_a_herd_comes_back_and_sees_the_next_message_once(server: Server) -> None:
    async def main() -> Herd:
        async with asyncio.timeout(HERD_DEADLINE_S), chatkit.connect(server.url, user="ann", timeout_s=60) as chat:
            await chat.send("general", "first")
            count = room_for()
            herd = Herd(server.url, count)
            async with asyncio.TaskGroup() as tasks:
                for number in range(count):
                    tasks.create_task(herd.client(number))
                await herd.all_have(count)
                server.kill9()
                await asyncio.to_thread(server.restart)
                await chat.send("general", "next")
                await herd.all_have(2 * count)
                await chat.send("general", "last")
            return herd

    herd = asyncio.run(main())
    assert set(map(tuple, herd.seen)) == {("first", "next", "last")}
    assert herd.losses >= len(herd.seen)
    assert server.terminate() == 0
    assert "Traceback" not in server.stderr()
