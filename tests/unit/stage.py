"""A whole server without sockets: real links, hub, cursors and journal on a log in memory and transports of our own."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from chatkit import wire
from chatkit.log.base import Outcome, Submission
from chatkit.model import Event
from chatkit.server.config import Config
from chatkit.server.context import Context
from chatkit.server.session import Session
from chatkit.server.submissions import Author
from chatkit.server.websocket import Link

from ..contract.memory import MemoryLog

Frame = dict[str, Any]


class Transport:
    """A socket whose peer takes bytes only when told to, with the flow control of asyncio's transports."""

    def __init__(self) -> None:
        self.waiting = 0
        self._high = 0
        self._paused = False
        self._closing = False
        self._said = bytearray()
        self.link: Link

    def set_write_buffer_limits(self, high: int) -> None:
        self._high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        self._said += data
        self.waiting += len(data)
        if self.waiting > self._high and not self._paused:
            self._paused = True
            self.link.pause_writing()

    def take(self, size: int) -> None:
        """The peer reads."""
        self.waiting -= min(size, self.waiting)
        if self._paused and self.waiting <= self._high // 4:
            self._paused = False
            self.link.resume_writing()

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def frames(self) -> list[Frame]:
        """Everything that was written."""
        found, place, data = [], 0, bytes(self._said)
        while place < len(data):
            assert data[place] == 0x81
            size, place = data[place + 1], place + 2
            if size == 126:
                size, place = int.from_bytes(data[place : place + 2], "big"), place + 2
            found.append(json.loads(data[place : place + size]))
            place += size
        return found


class Stage:
    """Made on a running loop."""

    def __init__(self, links: int, *, page: int = 3, queue: int = 700) -> None:
        self.log = MemoryLog()
        config = Config(replay_page=page, max_queued_bytes=queue)
        self.context = Context(config, self.log, 100)
        self.log.listen(self.context.hub.deliver)
        self._journal = asyncio.ensure_future(self.context.journal.run())
        self._sent = 0
        self.transports: list[Transport] = []
        for _ in range(links):
            transport = Transport()
            session = Session(Author("ada", frozenset()), 100)
            transport.link = Link(self.context, session, cast("asyncio.Transport", transport), 1)
            self.transports.append(transport)

    def send(self, channel: str, *, persist: bool = True, data: bytes = b"{}") -> None:
        self._sent += 1
        event = Event(channel, "e", str(self._sent), "bob", 1, data, None, persist)
        self.context.journal.submit(Submission(event), _ignore)

    def say(self, link: int, command: wire.Command) -> None:
        self.transports[link].link._message(wire.encode(command))

    async def turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Let everybody read everything, until nothing more comes."""
        quiet = 0
        while quiet < 3:
            waiting = sum(transport.waiting for transport in self.transports)
            for transport in self.transports:
                transport.take(transport.waiting)
            await self.turn(30)
            quiet = quiet + 1 if not waiting else 0

    async def end(self) -> None:
        for transport in self.transports:
            transport.link.connection_lost(None)
        self.context.journal.drain()
        await self._journal
        await self.context.cancel_tasks()


def _ignore(submission: Submission, outcome: Outcome) -> None:
    assert not isinstance(outcome, Exception)
