"""The public client against a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest

import chatkit
from tests.support import DEADLINE_S, Server, subscribed

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` with a deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_S):
            return await main

    return asyncio.run(bounded())


async def take(stream: AsyncIterator[T], count: int) -> list[T]:
    return [await anext(stream) for _ in range(count)]


def test_send_and_read_back(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            receipt = await chat.send("one", "hi", id="one-1", metadata={"mood": "good"})
            assert (receipt.channel, receipt.id, receipt.duplicate) == ("chat/one", "one-1", False)
            assert receipt.seq
            again = await chat.send("chat/one", "hi", id="one-1", metadata={"mood": "good"})
            assert (again.seq, again.duplicate) == (receipt.seq, True)
            with pytest.raises(chatkit.Refused) as caught:
                await chat.send("one", "other", id="one-1")
            assert caught.value.code == "id_conflict"
            (event,) = [event async for event in chat.tail("one", last=10, follow=False)]
            assert (event.channel, event.room, event.event) == ("chat/one", "one", "chat:message")
            assert (event.id, event.seq, event.user_id, event.text) == ("one-1", receipt.seq, "ann", "hi")
            assert event.data["metadata"] == {"mood": "good"}
            assert event.timestamp == event.data["timestamp"]

    run(main())


def test_history_asks_page_by_page(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            waiting = [await chat.enqueue("paged", str(number)) for number in range(1203)]
            receipts = [await receipt for receipt in waiting]
            texts = [event.text async for event in chat.history("paged")]
            assert texts == [str(number) for number in range(1203)]
            assert [event.text async for event in chat.history("paged", limit=2)] == ["0", "1"]
            middle = receipts[600].seq
            assert middle
            after = [event.text async for event in chat.history("paged", after=middle, limit=1)]
            assert after == ["601"]
            assert [event.text async for event in chat.history("paged", user="nobody")] == []

    run(main())


def test_tail_of_several_channels_is_in_the_order_of_the_log(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            for number in range(40):
                await chat.enqueue(f"multi/{'abc'[number % 3]}", str(number))
            await chat.send("multi/a", "40")
            stream = chat.tail("multi/a", "multi/b", "multi/c", last=100)
            assert [event.text for event in await take(stream, 41)] == [str(number) for number in range(41)]
            await chat.send("multi/b", "live")
            assert (await anext(stream)).text == "live"
            await stream.aclose()

    run(main())


def test_tail_of_a_pattern_names_the_channel(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            await chat.send("zoo/cats", "meow")
            await chat.send("zoo/dogs", "woof")
            found = [event async for event in chat.tail("zoo/*", "zoo/cats", after=0, follow=False)]
            assert [(event.channel, event.text) for event in found] == [("zoo/cats", "meow"), ("zoo/dogs", "woof")]

    run(main())


def test_ephemeral_events_and_presence(shared_server: Server) -> None:
    async def main() -> None:
        url = shared_server.url
        async with chatkit.connect(url, user="ann") as ann, chatkit.connect(url, user="bob") as bob:
            stream = ann.tail("lobby", ephemeral=True)
            first = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(subscribed, shared_server, 1, "chat/lobby")
            await bob.track("lobby", {"typing": False})
            assert [(who.user_id, who.state) for who in await ann.presence("lobby")] == [("bob", {"typing": False})]
            await bob.track("lobby", {"typing": True})
            receipt = await bob.publish("lobby", "wave", {"to": "ann"})
            assert receipt.seq is None
            await bob.untrack("lobby")
            await bob.untrack("lobby")
            events = [await first, *await take(stream, 3)]
            assert [event.event for event in events] == [
                "presence:join", "presence:update", "wave", "presence:leave",
            ]  # fmt: skip
            assert events[2].data == {"to": "ann"}
            assert events[2].text is None
            assert (await bob.publish("lobby", "saved", persist=True)).seq
            await stream.aclose()

    run(main())


def test_a_filter_is_the_servers(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            await chat.publish("filtered", "move", {"x": 1}, persist=True)
            await chat.publish("filtered", "move", {"x": 2}, persist=True)
            found = [event.data async for event in chat.tail("filtered", after=0, follow=False, filter={"x": 2})]
            assert found == [{"x": 2}]

    run(main())


def test_a_stream_resumes_over_a_crash_with_no_gap_and_no_duplicate(server: Server) -> None:
    async def main() -> None:
        notices: list[chatkit.Notice] = []
        async with chatkit.connect(server.url, user="ann", timeout_s=DEADLINE_S) as chat:
            stream = chat.tail("general", last=10, on_notice=notices.append)
            sent = [await chat.enqueue("general", f"before {number}") for number in range(20)]
            await asyncio.gather(*sent)
            got = await take(stream, 10)
            server.kill9()
            waiting = [await chat.enqueue("general", f"while {number}") for number in range(20)]
            await asyncio.to_thread(server.restart)
            await asyncio.gather(*waiting)
            await chat.send("general", "after")
            while got[-1].text != "after":
                got.append(await anext(stream))
            texts = [event.text or "" for event in got]
            seqs = [event.seq or 0 for event in got]
            assert seqs == sorted(set(seqs))
            assert [text for text in texts if text.startswith("while")] == [f"while {number}" for number in range(20)]
            assert [notice.kind for notice in notices] == ["lost", "back"]
            assert [event.text async for event in chat.history("general")] == [
                *[f"before {number}" for number in range(20)],
                *[f"while {number}" for number in range(20)],
                "after",
            ]
            await stream.aclose()

    run(main())


def test_presence_is_said_again_after_a_crash(server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(server.url, user="ann", timeout_s=DEADLINE_S) as chat:
            await chat.track("general", {"x": 1})
            stream = chat.tail("general", ephemeral=True)
            assert (await anext(stream)).event == "presence:sync"
            server.kill9()
            await asyncio.to_thread(server.restart)
            event = await anext(stream)
            assert event.event in ("presence:join", "presence:sync")
            assert [(who.user_id, who.state) for who in await chat.presence("general")] == [("ann", {"x": 1})]
            await stream.aclose()

    run(main())


def test_another_database_is_told(server: Server) -> None:
    async def main() -> None:
        notices: list[chatkit.Notice] = []
        async with chatkit.connect(server.url, user="ann", timeout_s=DEADLINE_S) as chat:
            stream = chat.tail("general", last=1, on_notice=notices.append)
            await chat.send("general", "one")
            assert (await anext(stream)).text == "one"
            server.kill9()
            server.forget()
            await asyncio.to_thread(server.restart)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(subscribed, server, 1)
            await chat.send("general", "new log")
            assert (await waiting).text == "new log"
            assert [notice.kind for notice in notices] == ["lost", "back", "gap"]
            await stream.aclose()

    run(main())


def test_what_cannot_be_is_said_at_once(shared_server: Server) -> None:
    chat = chatkit.connect(shared_server.url, user="ann")
    with pytest.raises(TypeError):
        chat.tail()
    with pytest.raises(TypeError):
        chat.tail("general", last=1, after=1)
    with pytest.raises(chatkit.InvalidName):
        chat.tail("a b")
    with pytest.raises(chatkit.InvalidName):
        chatkit.connect("http://x/y")
    with pytest.raises(chatkit.InvalidName):
        chatkit.connect(user="\n")


def test_leaving_the_client_ends_its_streams(shared_server: Server) -> None:
    async def main() -> None:
        async with chatkit.connect(shared_server.url, user="ann") as chat:
            await chat.send("ending", "one")
            async for event in chat.tail("ending", last=1):
                assert event.text == "one"
                break  # the generator is still there, and its connection
            waiting = asyncio.ensure_future(anext(chat.tail("ending")))
            await asyncio.to_thread(subscribed, shared_server, 1, "chat/ending")
        with pytest.raises(chatkit.ChatkitError, match="closed"):
            await waiting
        with pytest.raises(chatkit.ChatkitError, match="closed"):
            await anext(chat.tail("ending"))

    run(main())


def test_nobody_there(unused_url: str) -> None:
    async def main() -> None:
        async with chatkit.connect(unused_url, user="ann") as chat:
            for attempt in (chat.send("general", "hi"), chat.channels(), chat.track("general"), anext(chat.tail("x"))):
                with pytest.raises(chatkit.Unreachable):
                    await attempt

    run(main())


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import chatkit; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert done.stdout.strip() == "['__future__', 'chatkit']"


def test_every_public_name_is_there() -> None:
    for name in chatkit.__all__:
        assert getattr(chatkit, name)
    with pytest.raises(AttributeError):
        chatkit.nonsense  # noqa: B018
