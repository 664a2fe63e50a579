"""Sends, stalls, lost connections, resumes and prunes in any order: a reader gets the log from where it was, or is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit import wire
from chatkit.log.maintenance.pruning import Plan
from chatkit.server import hub
from chatkit.server.session import Session
from chatkit.server.submissions import Author
from chatkit.server.websocket import Link

from .stage import Stage, Transport

CHANNEL = "chat/a"
Step = Callable[["Reader", Stage], Any]


class Reader:
    """A client that resumes from its position, connection after connection.

    Attributes:
        got: runs of positions; a new one begins where the server said that it cannot go on from the old one.
        position: where it is.
    """

    def __init__(self) -> None:
        self.got: list[list[int]] = [[]]
        self.starts = [0]
        self.position = 0
        self.epoch: str | None = None
        self._heard = 0

    def connect(self, stage: Stage) -> None:
        transport = Transport()
        session = Session(Author("ada", frozenset()), 100)
        transport.link = Link(stage.context, session, cast("asyncio.Transport", transport), 1)
        stage.transports[:] = [transport]
        self._heard = 0
        stage.say(0, wire.Subscribe(CHANNEL, after=self.position, epoch=self.epoch))

    def lose(self, stage: Stage) -> None:
        """The connection goes; what was written and not taken is lost with it."""
        self.hear(stage)
        stage.transports[0].close()
        stage.transports[0].link.connection_lost(None)

    def hear(self, stage: Stage) -> bool:
        """Read what came; whether the server closed."""
        transport = stage.transports[0]
        frames, closed = split(bytes(transport._said))
        for frame in frames[self._heard :]:
            if frame["type"] == "subscribed":
                self.epoch = frame["epoch"]
                if not frame["recovered"]:
                    self.position = frame["seq"]
                    self.got.append([])
                    self.starts.append(self.position)
            elif frame["type"] == "event":
                self.position = frame["seq"]
                self.got[-1].append(frame["seq"])
        self._heard = len(frames)
        return closed


def split(said: bytes) -> tuple[list[dict[str, Any]], bool]:
    """The text frames, and whether a close frame follows them."""
    frames, place = [], 0
    while place < len(said) and said[place] == 0x81:
        size, place = said[place + 1], place + 2
        if size == 126:
            size, place = int.from_bytes(said[place : place + 2], "big"), place + 2
        frames.append(json.loads(said[place : place + size]))
        place += size
    return frames, place < len(said)


def send(count: int) -> Step:
    def step(reader: Reader, stage: Stage) -> None:
        for _ in range(count):
            stage.send(CHANNEL)

    return step


def burst(batches: int) -> Step:
    """Batch after batch, each handed out before the next: what fills a queue."""

    async def step(reader: Reader, stage: Stage) -> None:
        for _ in range(batches):
            send(3)(reader, stage)
            await stage.turn(12)

    return step


def prune(keep: int) -> Step:
    async def step(reader: Reader, stage: Stage) -> None:
        await stage.log.prune(Plan(keep=keep), lambda _: stage.context.pages.clear())

    return step


def again(reader: Reader, stage: Stage) -> None:
    reader.lose(stage)
    reader.connect(stage)


steps = st.lists(
    st.builds(send, st.integers(1, 8))
    | st.builds(burst, st.integers(1, 8))
    | st.builds(prune, st.integers(0, 6))
    | st.builds(lambda times: lambda reader, stage: stage.turn(times), st.integers(1, 6))
    | st.builds(lambda size: lambda reader, stage: stage.transports[0].take(size), st.sampled_from([10, 300, 5000]))
    | st.just(again),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_reader_gets_the_log_from_its_position_or_is_told(chosen: list[Step]) -> None:
    reader = Reader()
    sent: list[int] = []

    async def whole() -> None:
        stage = Stage(0)
        async with asyncio.timeout(20):
            reader.connect(stage)
            for step in chosen:
                result = step(reader, stage)
                if result is not None:
                    await result
                if reader.hear(stage):  # pruning has overtaken it: it comes back
                    again(reader, stage)
            await stage.settle()
            while reader.hear(stage):
                again(reader, stage)
                await stage.settle()
            sent.extend(range(1, stage.log.head + 1))
            await stage.end()

    with mock.patch.object(hub, "_RECENT_EVENTS", 4):
        asyncio.run(whole())
    for run, start in zip(reader.got, reader.starts, strict=True):
        assert run == list(range(start + 1, start + 1 + len(run)))  # no gap, nothing twice, in order
    assert reader.position == len(sent)  # and to the end
