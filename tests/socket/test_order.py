"""Many senders at once: every subscriber sees the same events, once, in the order of the log."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .harness import Server
from .peer import Frame, Peer, seqs
from .raw import request_bytes

SENDERS, EACH = 8, 200


def send_over_http(server: Server, name: str) -> None:
    with server.raw() as raw:
        bodies = [{"roomId": "a", "userId": name, "text": str(number)} for number in range(EACH)]
        raw.send(b"".join(request_bytes("POST", "/examples/chat/send", body) for body in bodies))
        assert all(raw.response().status == 200 for _ in bodies)


def send_over_websocket(server: Server, name: str) -> None:
    with server.peer(f"?userId={name}") as peer:
        for number in range(EACH):
            peer.say("chat", roomId="a", text=str(number))
        found = [peer.hear() for _ in range(EACH)]
        assert seqs(found) == sorted(seqs(found))


def hear_all(peer: Peer) -> list[Frame]:
    found: list[Frame] = []
    while len(found) < SENDERS * EACH:
        heard = peer.hear()
        if heard["type"] == "event":
            found.append(heard)
    return found


def test_everybody_sees_the_same_order(make_server: Callable[..., Server]) -> None:
    server = make_server()
    listeners = [server.peer() for _ in range(3)]
    listeners[0].subscribe("chat/a")
    listeners[1].subscribe("chat/*")
    listeners[2].subscribe("chat/a", after=0, filter={})
    senders = [
        threading.Thread(target=(send_over_http, send_over_websocket)[number % 2], args=(server, f"user{number}"))
        for number in range(SENDERS)
    ]
    for thread in senders:
        thread.start()
    late = server.peer()
    late.subscribe("chat/a", after=0)  # in the middle of it
    heard = [hear_all(peer) for peer in (*listeners, late)]
    for thread in senders:
        thread.join(10)
    assert seqs(heard[0]) == list(range(1, SENDERS * EACH + 1))
    for number in range(SENDERS):
        texts = [found["data"]["text"] for found in heard[0] if found["userId"] == f"user{number}"]
        assert texts == [str(place) for place in range(EACH)]
    for other in heard[1:]:
        assert [(found["seq"], found["id"]) for found in other] == [(found["seq"], found["id"]) for found in heard[0]]
    for peer in (*listeners, late):
        assert [found for found in peer.sync() if found["type"] == "event"] == []
        peer.close()


def test_an_author_hears_ephemeral_and_persisted_events_in_the_order_they_were_sent(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"game/{room}")
        for number in range(100):
            peer.say("publish", topic=f"game/{room}", event="e", data=number, persist=number % 3 == 0)
        frames = peer.hear_many(200)
        assert [found["data"] for found in frames if found["type"] == "event"] == list(range(100))
        assert sum(found["type"] == "ack" for found in frames) == 100
