"""Cursors at their edges: a queue that is full at the head of the log, a socket that is closing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chatkit import wire

from .stage import Stage

QUEUE = 700


def run(scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        stage = Stage(1, queue=QUEUE)
        async with asyncio.timeout(10):
            await scenario(stage)
            await stage.end()

    asyncio.run(whole())


@pytest.mark.parametrize("count", range(1, 15))
def test_a_queue_that_is_full_when_its_cursor_reaches_the_head_does_not_grow(count: int) -> None:
    async def scenario(stage: Stage) -> None:
        (transport,) = stage.transports
        for _ in range(count):
            stage.send("chat/a")
        await stage.turn(10)
        stage.say(0, wire.Subscribe("chat/a", after=0))
        for _ in range(50):
            await stage.turn(10)
            stage.send("chat/a")
        await stage.turn(10)
        assert transport.waiting < QUEUE + 4 * 150  # the limit, and one page beyond it
        await stage.settle()
        events = [frame["seq"] for frame in transport.frames() if frame["type"] == "event"]
        assert events == list(range(1, count + 51))

    run(scenario)


@pytest.mark.timeout(20)
def test_a_socket_that_is_closing_holds_no_cursor(  # which would never wait: its queue is not told to go on
) -> None:
    async def scenario(stage: Stage) -> None:
        (transport,) = stage.transports
        for _ in range(30):
            stage.send("chat/a")
        await stage.turn(10)
        stage.say(0, wire.Subscribe("chat/a", after=0))
        await stage.turn(10)
        assert transport.waiting > QUEUE
        transport.close()
        transport.take(transport.waiting)
        await stage.turn(50)

    run(scenario)


def test_readers_of_the_same_page_share_it() -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(5):
            stage.send("chat/a")
        await stage.turn(10)
        pattern = stage.transports[0].link.session.topic("chat/a").pattern
        pages = stage.context.pages
        one, two = await asyncio.gather(pages.read(pattern, 0), pages.read(pattern, 0))
        assert one is two
        last = await pages.read(pattern, one.position)
        assert [len(page.events) for page in (one, last)] == [3, 2]
        stage.send("chat/a")
        await stage.turn(10)
        again = await pages.read(pattern, one.position)  # a page that was not full is read again
        assert len(again.events) == 3

    run(scenario)
