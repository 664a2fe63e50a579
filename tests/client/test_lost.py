"""Lost connections and refusals that pass: the same message again, with the same id, in the same order."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import chatkit
from chatkit.client import oneshot, sending
from chatkit.client.endpoint import parse_url

from .scripted import accepted, reply, scripted


def blocking(url: str, timeout_s: float = 20.0) -> chatkit.Receipt:
    post = sending.message("general", "hi", user="u", event_id="one")
    return oneshot.send(parse_url(url), post, token=None, timeout_s=timeout_s)


def pipelined(url: str, timeout_s: float = 20.0) -> chatkit.Receipt:
    async def main() -> chatkit.Receipt:
        async with chatkit.connect(url, user="u", timeout_s=timeout_s) as chat:
            return await chat.send("general", "hi", id="one")

    return asyncio.run(main())


both = pytest.mark.parametrize("send", [blocking, pipelined])


def free_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@both
def test_a_connection_lost_before_the_answer_repeats_the_same_id(send: Any) -> None:
    with scripted(lambda number, body: None if number < 2 else accepted(7, body)) as server:
        assert send(server.url) == ("chat/general", "one", 7, False)
    assert [body["id"] for body in server.bodies] == ["one"] * 3
    assert server.connections == 3


@both
@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_refusal_that_passes_is_tried_again(send: Any, status: int) -> None:
    refusal = reply(status, "Retry-After: 0\r\n", ok=False, code="unavailable", error="later")
    with scripted(lambda number, body: refusal if number == 0 else accepted(7, body)) as server:
        assert send(server.url).seq == 7
    assert [body["id"] for body in server.bodies] == ["one"] * 2


@both
def test_a_refusal_that_passes_is_not_waited_for_beyond_the_deadline(send: Any) -> None:
    refusal = reply(503, "Retry-After: 60\r\n", ok=False, code="unavailable", error="starting")
    with scripted(lambda number, body: refusal) as server, pytest.raises(chatkit.Refused, match="starting"):
        send(server.url)
    assert len(server.bodies) == 1


@both
@pytest.mark.parametrize("status", [400, 409, 413, 507])
def test_a_refusal_that_stays_is_not_tried_again(send: Any, status: int) -> None:
    refusal = reply(status, ok=False, code="x", error="no")
    with scripted(lambda number, body: refusal) as server, pytest.raises(chatkit.Refused) as caught:
        send(server.url)
    assert caught.value.status == status
    assert len(server.bodies) == 1


@both
def test_no_answer_in_time_says_that_the_outcome_is_unknown(send: Any) -> None:
    with scripted(lambda number, body: b"") as server, pytest.raises(chatkit.DeadlineExceeded, match="with the id one"):
        send(server.url, timeout_s=0.3)


@both
def test_a_server_that_was_never_there_is_not_waited_for(send: Any) -> None:
    with pytest.raises(chatkit.Unreachable, match="chatkit serve"):
        send(free_url())


@both
def test_something_else_that_answers_is_no_server(send: Any) -> None:
    with scripted(lambda number, body: b"SSH-2.0-x\r\n") as server, pytest.raises(chatkit.Unreachable):
        send(server.url)
    with scripted(lambda number, body: reply(404, detail="Not Found")) as server, pytest.raises(chatkit.Unreachable):
        send(server.url)


def test_pipelined_sends_keep_their_order_over_lost_connections() -> None:
    stored: list[str] = []

    def script(number: int, body: dict[str, Any]) -> bytes | None:
        if body["id"] not in stored:
            stored.append(body["id"])
        return None if number % 7 == 3 else accepted(stored.index(body["id"]) + 1, body)

    async def main(url: str) -> list[chatkit.Receipt]:
        async with chatkit.connect(url, user="u", timeout_s=25) as chat:
            waiting = [await chat.enqueue("general", str(number), id=f"m{number}") for number in range(30)]
            return [await receipt for receipt in waiting]

    with scripted(script) as server:
        receipts = asyncio.run(main(server.url))
    assert [receipt.id for receipt in receipts] == [f"m{number}" for number in range(30)]
    assert stored == [f"m{number}" for number in range(30)]
    assert server.connections > 3


def test_a_server_that_comes_back_gets_what_was_sent_while_it_was_away() -> None:
    async def main() -> chatkit.Receipt:
        with scripted(lambda number, body: accepted(1, body)) as first:
            chat = chatkit.connect(first.url, user="u", timeout_s=20)
            await chat.send("general", "one")
        async with chat:
            waiting = await chat.enqueue("general", "two")
            with socket.create_server(("127.0.0.1", int(first.url.rpartition(":")[2]))) as listener:
                listener.settimeout(20)
                connection, _ = await asyncio.to_thread(listener.accept)
                with connection:
                    await asyncio.to_thread(connection.recv, 65536)
                    connection.sendall(reply(200, ok=True, id="x", seq=2))
                    return await waiting

    assert asyncio.run(main()).seq == 2


def test_closing_the_client_answers_whoever_waits() -> None:
    async def main(url: str) -> None:
        async with chatkit.connect(url, user="u") as chat:
            waiting = await chat.enqueue("general", "hi")
        with pytest.raises(chatkit.DeadlineExceeded):
            await waiting
        with pytest.raises(chatkit.ChatkitError, match="closed"):
            await chat.send("general", "hi")

    with scripted(lambda number, body: b"") as server:
        asyncio.run(main(server.url))


def test_a_full_queue_makes_the_caller_wait_and_nothing_is_lost() -> None:
    async def main(url: str) -> int:
        async with chatkit.connect(url, user="u") as chat:
            waiting = [await chat.enqueue("general", "x" * 60_000) for _ in range(60)]
            return len([await receipt for receipt in waiting])

    with scripted(accepted) as server:
        assert asyncio.run(main(server.url)) == 60
