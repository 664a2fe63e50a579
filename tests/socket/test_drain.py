"""The graceful stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatkit.errors import ChatkitError

from .harness import Server
from .peer import CLOSE, Peer
from .raw import Closed, request_bytes

SEND = "/examples/chat/send"


def test_a_stop_closes_websockets_with_1012_and_idle_connections(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with server.peer() as peer, server.raw() as idle:
        peer.subscribe("chat/a")
        assert idle.request("GET", "/healthz").status == 200
        server.on_loop(server._stop.set)
        assert peer.close_code() == 1012
        assert idle.is_closed()
    server.wait()
    assert server.error is None


def test_what_was_sent_before_a_stop_is_stored_acknowledged_and_broadcast(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with server.peer() as listener, server.raw() as raw:
        listener.subscribe("chat/a")
        raw.send(b"".join(request_bytes("POST", SEND, {"roomId": "a", "text": str(n)}) for n in range(500)))
        first = raw.response()
        server.on_loop(server._stop.set)
        answers = [first]
        try:
            while True:
                answers.append(raw.response())
        except Closed:
            pass
        acknowledged = [answer.json["seq"] for answer in answers if answer.status == 200]
        assert all(answer.status in (200, 503) for answer in answers)
        heard = []
        while True:
            opcode, payload = listener.hear_frame()
            if opcode == CLOSE:
                break
            heard.append(payload)
        assert len(heard) == len(acknowledged)
    server.wait()
    again = make_server()
    with again.raw() as raw:
        stored = raw.request("GET", "/api/messages?limit=1000").json["messages"]
    assert [message["seq"] for message in stored] == acknowledged


def test_a_stop_leaves_nothing_in_the_wal(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with server.raw() as raw:
        raw.request("POST", SEND, {"roomId": "a", "text": "hi"})
    server.stop()
    assert not server.config.database.with_name("chat.db-wal").exists()


def test_a_peer_that_takes_nothing_does_not_hold_the_stop_up(make_server: Callable[..., Server]) -> None:
    server = make_server(drain_timeout_s=0.3)
    with Peer(server.port, receive_bytes=4096) as stuck, server.raw() as raw:
        stuck.subscribe("chat/a")
        for _ in range(60):
            raw.request("POST", SEND, {"roomId": "a", "text": "x" * 60_000})
        server.stop()
    assert server.error is None


def test_a_port_that_is_taken_is_one_line(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with pytest.raises(ChatkitError) as raised:
        Server(server.config.database.with_name("other.db"), port=server.port).start()
    assert f"127.0.0.1:{server.port}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_database_that_is_in_use_is_one_line(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with pytest.raises(ChatkitError) as raised:
        Server(server.config.database).start()
    assert "in use" in str(raised.value)
