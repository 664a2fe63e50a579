"""A subscriber that cannot keep up: not dropped, no memory, no gap, no duplicate."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from .harness import Server
from .peer import PONG, Peer, frame, seqs
from .raw import request_bytes

QUEUE = 64 * 1024
COUNT = 4_000


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(max_queued_bytes=QUEUE)


def flood(server: Server, count: int, *, text: str = "x" * 200, room: str = "a") -> None:
    """Send ``count`` messages with many in flight."""
    with server.raw() as raw:
        for start in range(0, count, 500):
            size = min(500, count - start)
            bodies = ({"roomId": room, "text": f"{start + n} {text}"} for n in range(size))
            raw.send(b"".join(request_bytes("POST", "/examples/chat/send", body) for body in bodies))
            assert all(raw.response().status == 200 for _ in range(size))


def queued(server: Server) -> int:
    """The most bytes that wait for any WebSocket."""
    return server.on_loop(lambda: max(link._transport.get_write_buffer_size() for link in server.context.links))


def slow_peer(server: Server) -> Peer:
    """One for which the kernel holds little, so that a small flood is more than it takes."""
    before = server.on_loop(lambda: set(server.context.links))
    peer = Peer(server.port, receive_bytes=4096)
    peer.sync()

    def shrink() -> None:
        (link,) = server.context.links - before
        link._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)

    server.on_loop(shrink)
    return peer


def test_who_stops_reading_falls_behind_and_catches_up_without_gap_or_duplicate(server: Server) -> None:
    with slow_peer(server) as slow, server.peer() as quick:
        slow.subscribe("chat/a")
        quick.subscribe("chat/other")
        largest = 0
        for _ in range(4):
            flood(server, COUNT // 4)
            largest = max(largest, queued(server))
        assert largest < QUEUE + 512 * 1024  # the limit, and what one batch adds
        counters = server.context.hub.counters
        assert (counters.lagging, counters.caught_up) == (1, 0)
        assert quick.sync() == []
        assert seqs(slow.events(COUNT)) == list(range(1, COUNT + 1))
        flood(server, 10)
        assert seqs(slow.events(10)) == list(range(COUNT + 1, COUNT + 11))
        assert counters.caught_up >= 1


def test_who_asks_for_a_long_replay_and_does_not_read_it_costs_one_queue(server: Server) -> None:
    flood(server, 5000)
    with slow_peer(server) as slow:
        slow.subscribe("chat/a", after=0)
        assert slow.events(1)
        flood(server, 100, room="other")
        assert queued(server) < QUEUE + 300 * 400
        assert seqs(slow.events(4999)) == list(range(2, 5001))
        assert slow.hear()["type"] == "live"


def test_several_subscriptions_catch_up_each_event_once(server: Server) -> None:
    with slow_peer(server) as slow:
        slow.subscribe("chat/*")
        slow.subscribe("chat/a")
        slow.subscribe("chat/b", filter={"userId": "anonymous"})
        for _ in range(4):
            flood(server, 250, room="a")
            flood(server, 250, room="b")
        frames = slow.events(2000)
        assert sorted(seqs(frames)) == list(range(1, 2001))
        for topic in ("chat/a", "chat/b"):
            own = [found["seq"] for found in frames if found.get("channel", found["topic"]) == topic]
            assert own == sorted(own)


def test_ephemeral_events_that_were_missed_are_counted(server: Server) -> None:
    with slow_peer(server) as slow, server.raw() as raw:
        slow.subscribe("chat/a")
        flood(server, 1000)
        for _ in range(3):
            raw.request("POST", "/api/publish", {"topic": "chat/a", "event": "typing"})
        assert server.context.hub.counters.ephemeral_skipped == 3
        assert seqs(slow.events(1000)) == list(range(1, 1001))


def test_who_resubscribes_while_behind_gets_what_was_asked_for(server: Server) -> None:
    flood(server, 2000)
    with slow_peer(server) as slow:
        for after in (0, 500, 1500):
            slow.say("subscribe", topic="chat/a", after=after)
        found = 0
        while found < 3:
            found += slow.hear()["type"] == "subscribed"
        heard = []
        while (frame := slow.hear())["type"] != "live":
            heard.append(frame["seq"])
        assert heard == list(range(1501, 2001))


def test_who_leaves_while_behind_is_forgotten(server: Server) -> None:
    with server.peer() as watcher:
        watcher.subscribe("chat/*")
        slow = slow_peer(server)
        slow.subscribe("chat/a")
        slow.say("track", topic="chat/a")
        assert watcher.hear()["event"] == "presence:join"
        flood(server, 1000)
        slow.reset()
        assert len(watcher.events(1001)) == 1001
        assert server.on_loop(lambda: len(server.context.links)) == 1


def test_who_half_closes_while_bytes_wait_does_not_hold_the_server(server: Server) -> None:
    with slow_peer(server) as slow:
        slow.subscribe("chat/a")
        flood(server, 200)
        slow.half_close()
        flood(server, 1000)
        slow.rest()
    with server.peer() as peer:
        assert peer.sync() == []


@pytest.mark.usefixtures("quick_ticks")
def test_who_takes_no_byte_at_all_is_closed(make_server: Callable[..., Server]) -> None:
    server = make_server(max_queued_bytes=QUEUE, stall_timeout_s=0.3, ping_interval_s=0.1, ping_timeout_s=0.1)
    with server.peer() as watcher, slow_peer(server) as slow:
        watcher.subscribe("chat/b")
        slow.subscribe("chat/a")
        slow.say("track", topic="chat/b")
        assert watcher.hear()["event"] == "presence:join"
        flood(server, 1000)
        opcode = None
        while opcode != 1:  # the pings that a watcher answers, then the news
            opcode, payload = watcher.hear_frame()
            if opcode == 9:
                watcher.send(frame(PONG, payload))
        assert b"presence:leave" in payload
        slow.rest()


@pytest.mark.usefixtures("quick_ticks")
def test_who_does_not_answer_a_ping_is_closed(make_server: Callable[..., Server]) -> None:
    server = make_server(ping_interval_s=0.1, ping_timeout_s=0.2)
    with server.peer() as silent:
        assert silent.hear_frame() == (9, b"")
        assert silent.close_code() == 4409
